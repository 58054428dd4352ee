"""Where an auxiliary stands in a network: all it may know when it is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from mmlocal.blocks.division import Division
from mmlocal.blocks.given import Given
from mmlocal.blocks.probe import Output, Shape
from mmlocal.blocks.units import Unit, stage_of
from mmlocal.errors import ConfigError

__all__ = ['Earlier', 'Later', 'Place', 'place_at']


@dataclass(frozen=True)
class Earlier:
    """A unit up to the boundary, the one that ends the block included.

    Args:
        name: the unit's.
        shape: of its output.
        block: index of the block that it is in, from 0.
    """

    name: str
    shape: Shape
    block: int


@dataclass(frozen=True)
class Later:
    """A unit behind the boundary.

    Args:
        name: the unit's.
        module: the unit itself, to copy and never to register: `module(feature, *further)`.
        shape: of its output.
        alone: whether it runs by itself on the output of the unit before it.
        block: index of the block that it is in, from 0.
    """

    name: str
    module: nn.Module
    shape: Shape
    alone: bool = True
    block: int = 0


@dataclass(frozen=True)
class Place:
    """A boundary as its auxiliary sees it.

    Args:
        block: the block's name, as in the logs (`block1`).
        cut: the unit that ends the block.
        shape: shape of the feature that the block puts out.
        later: the units behind the boundary, in the order they run.
        earlier: the units before it, in the order they run.
        index: of the block, from 0.
        total: boundaries of the network: blocks that an auxiliary may train.
        output: what the block puts out for one empty image, without its numbers.
    """

    block: str
    cut: str
    shape: Shape
    later: tuple[Later, ...]
    earlier: tuple[Earlier, ...] = ()
    index: int = 0
    total: int = 1
    output: Output | None = None

    def between(self, ends: float | Sequence[float] | Mapping[str, float]) -> float:
        """A weight for this boundary: the number given, or between those of the first and the last boundary.

        `first * (1 - r) + last * r`, with r = index / (total - 1), as InfoPro interpolates its weights
        (arXiv 2101.10832, released code). Of a mapping, the value of the stage of the unit behind the boundary
        (`layer1`), as MAN weights its losses (arXiv 2407.05623, released code).

        Raises:
            ConfigError: if a mapping has none for that stage.
        """
        if isinstance(ends, Mapping):
            stage = stage_of(self.later[0].name)
            if stage not in ends:
                raise ConfigError(f'loss_weight has none for {stage!r}, the stage behind {self.cut!r}: {dict(ends)}')
            return float(ends[stage])
        if isinstance(ends, (int, float)):
            return float(ends)
        first, last = ends
        r = self.index / max(1, self.total - 1)
        return float(first * (1 - r) + last * r)


def place_at(division: Division, index: int) -> Place:
    """What the auxiliary of a block, by its index from 0, is told of the boundary behind it."""
    shapes, blocks = division.probe.shapes, division.blocks
    later = [
        Later(unit.name, _alone(unit, division), shapes[unit.name], unit.name in division.probe.alone, j)
        for j, units in enumerate(blocks[index + 1 :], index + 1)
        for unit in units
    ]
    earlier = [
        Earlier(unit.name, shapes[unit.name], j) for j, block in enumerate(blocks[: index + 1]) for unit in block
    ]
    cut = blocks[index][-1].name
    return Place(
        division.block_names[index],
        cut,
        shapes[cut],
        tuple(later),
        tuple(earlier),
        index,
        len(blocks) - 1,
        division.probe.features[cut],
    )


def _alone(unit: Unit, division: Division) -> nn.Module:
    """A unit as a module that takes what the unit before it puts out."""
    module, form = unit.module(division.network), division.probe.alone.get(unit.name, 'all')
    return module if form == 'all' else Given(module, form)
