"""Heights and widths of maps that are passed on as tokens, noted while a network runs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mmlocal.blocks.units import Unit, separate

__all__ = ['MapSize', 'map_size']

Size = tuple[int, int]


def map_size(feature: Any, further: tuple[Any, ...]) -> Size | None:
    """Height and width of the map that tokens (N, L, C) are, if what goes along tells: a pair, or two numbers.

    Example:
        >>> import torch
        >>> map_size(torch.zeros(1, 6, 4), ((2, 3),)), map_size(torch.zeros(1, 6, 4), (3, 2))
        ((2, 3), (3, 2))
        >>> map_size(torch.zeros(1, 7, 4), ((2, 3),)) is None  # with a class token
        True
    """
    pair = further[0] if further and isinstance(further[0], (tuple, list)) else further[:2]
    if len(pair) != 2 or not all(isinstance(side, int) for side in pair) or not isinstance(feature, Tensor):
        return None
    return tuple(pair) if feature.dim() == 3 and feature.shape[1] == pair[0] * pair[1] else None


class MapSize:
    """The size of the last map that the modules before a unit's last one had, or were told.

    A norm of tokens, for one, is not told the size that the block before it is told.
    """

    def __init__(self) -> None:
        self.last: Size | None = None

    def watch(self, network: nn.Module, unit: Unit) -> list[Any]:
        """Note it whenever one of these modules has run; returns the handles of the hooks."""
        return [network.get_submodule(name).register_forward_hook(self.note) for name in unit.modules[:-1]]

    def note(self, _module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """A forward hook."""
        feature, further = separate(output, args[1:])
        if isinstance(feature, Tensor) and feature.dim() == 4:
            self.last = (feature.shape[2], feature.shape[3])
        else:
            self.last = map_size(feature, further) or self.last

    def separate(self, args: tuple[Any, ...], output: Any) -> tuple[Any, tuple[Any, ...]]:
        """The feature of the last module, and what goes with it; the size first, where it was not told."""
        feature, further = separate(output, args[1:])
        if map_size(feature, further) is None and map_size(feature, (self.last,)) is not None:
            return feature, (self.last, *further)
        return feature, further
