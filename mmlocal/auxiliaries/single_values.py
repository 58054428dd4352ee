"""Batch norm over a single value a channel, which has no variance: a batch of one image on a map of one pixel."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ['normalise_single_values']


def normalise_single_values(module: nn.Module) -> None:
    """Let each batch norm in a module use its running statistics where it is given one value a channel in training.

    torch refuses such an input. The host may have no batch norm there, so that its last, incomplete batch trains end to
    end; the auxiliaries then have to train, too. Any larger input is normalised as ever.
    """
    for norm in module.modules():
        if isinstance(norm, _BatchNorm) and norm.track_running_stats:
            norm.register_forward_pre_hook(_evaluate)
            norm.register_forward_hook(_train, always_call=True)


def _evaluate(norm: Any, args: tuple[Any, ...]) -> None:
    feature = args[0]
    if norm.training and feature.numel() == feature.shape[1]:
        norm.training = False
        norm.had_single_values = True


def _train(norm: Any, *_: Any) -> None:
    if norm.__dict__.pop('had_single_values', False):
        norm.training = True
