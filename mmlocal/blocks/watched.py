"""What units put out in a forward that somebody else runs: shapes without numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmlocal.blocks.units import Unit, separate

__all__ = ['Output', 'watched']


@dataclass(frozen=True)
class Output:
    """What a unit puts out.

    Args:
        feature: on the device `meta`.
        further: what goes along with it.
    """

    feature: Tensor
    further: tuple[Any, ...] = ()


@contextmanager
def watched(network: nn.Module, units: Sequence[Unit]) -> Iterator[dict[str, Output]]:
    """Note what each unit puts out, by its name, in the forwards that are run inside."""
    seen: dict[str, Output] = {}
    handles = [network.get_submodule(u.end).register_forward_hook(_note(u.name, seen), prepend=True) for u in units]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _note(name: str, seen: dict[str, Output]) -> Callable[..., None]:
    def hook(_module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        feature, further = separate(output, args[1:])
        if isinstance(feature, Tensor):
            seen[name] = Output(torch.empty_like(feature, device='meta', requires_grad=False), further)

    return hook
