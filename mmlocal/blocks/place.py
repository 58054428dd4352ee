"""Where an auxiliary stands in a network: all it may know when it is built."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from mmlocal.blocks.probe import Shape

__all__ = ['Later', 'Place']


@dataclass(frozen=True)
class Later:
    """A unit behind the boundary.

    Args:
        name: the unit's.
        module: the unit itself, to copy and never to register: `module(feature, *further)`.
        shape: of its output.
        alone: whether it runs by itself on the output of the unit before it.
    """

    name: str
    module: nn.Module
    shape: Shape
    alone: bool = True


@dataclass(frozen=True)
class Place:
    """A boundary as its auxiliary sees it.

    Args:
        block: the block's name, as in the logs (`block1`).
        cut: the unit that ends the block.
        shape: shape of the feature that the block puts out.
        later: the units behind the boundary, in the order they run.
    """

    block: str
    cut: str
    shape: Shape
    later: tuple[Later, ...]
