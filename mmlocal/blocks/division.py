"""How a network is divided: its units in blocks, and how far the loss at each boundary flows back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmlocal.blocks.partition import check_cuts, find_cuts, to_blocks
from mmlocal.blocks.probe import OUTPUTS, Probe
from mmlocal.blocks.trainer import Span, Trainer
from mmlocal.blocks.units import Unit
from mmlocal.errors import ConfigError, Faults

__all__ = ['Division']


class Division:
    """Units, blocks and segments of a network, and what trains each block.

    A segment is a block, or a part of one where the losses of the next blocks stop within it.

    Args:
        network: the network.
        units: of it, in the order they run.
        cuts: names of the units that end a block, but for the last one.
        reach: how many blocks a loss flows back through.
        overlap: how many units of the block before these it flows into, too.
        full_windows: whether the first blocks learn from later losses alone.
        reconcile: weight of the penalty of successive gradient reconciliation; 0 is none.

    Attributes:
        auxiliaries: what trains the blocks that a loss of their own trains, in order.
        probe: what one forward has shown of the network.
        compiled: how many modules run compiled.
    """

    probe: Probe

    def __init__(
        self,
        network: nn.Module,
        units: Sequence[Unit],
        cuts: Sequence[str],
        reach: int = 1,
        overlap: int = 0,
        full_windows: bool = False,
        reconcile: float = 0.0,
    ) -> None:
        self.network, self.units = network, list(units)
        self.reach, self.overlap, self.reconcile = reach, overlap, reconcile
        self.name = type(network).__name__
        self.probe_size, self.channels = 64, 3
        self.blocks = to_blocks(self.units, list(cuts))
        self.untrained = reach - 1 if full_windows else 0
        self.segments = self._find_segments()
        self.auxiliaries = ModuleList()
        self.compiled = 0

    @property
    def isolated(self) -> bool:
        """Whether each block learns from its own loss alone."""
        return self.reach == 1 and self.overlap == 0

    @property
    def block_names(self) -> list[str]:
        """`block1` … `blockK`, as logs and plan call them."""
        return [f'block{i}' for i in range(1, len(self.blocks) + 1)]

    @property
    def trainers(self) -> list[Any]:
        """What trains each block but the last; none for those that later losses train alone."""
        return [*[None] * self.untrained, *self.auxiliaries]

    @property
    def frozen_units(self) -> list[Unit]:
        """The units before the first one that learns."""
        return frozen_units(self.network, self.units)

    def image(self, size: int) -> Tensor:
        """An empty image (1, C, size, size) of the network's channels, dtype and device."""
        return torch.zeros(1, self.channels, size, size).to(next(self.network.parameters()))

    def parameters_of(self, unit: Unit) -> list[nn.Parameter]:
        """The weights of a unit; what a network uses outside of its units belongs to none."""
        return [p for name in unit.modules for p in self.network.get_submodule(name).parameters()]

    def parameters_of_none(self) -> list[nn.Parameter]:
        """The network's weights that are in no unit (position embeddings and the like)."""
        inside = {p for unit in self.units for p in self.parameters_of(unit)}
        inside.update(self.auxiliaries.parameters())
        return [p for p in self.network.parameters() if p not in inside]

    def span(self, index: int) -> Span:
        """How far the losses at a block's end flow, in segments."""
        sizes = [sum(segment[0] in block for segment in self.segments) for block in self.blocks]

        def reached(i: int) -> int:
            first = max(0, i - self.reach + 1)
            return sum(sizes[first : i + 1]) + (self.overlap > 0 and first > 0)

        kept = reached(index + 1) - sizes[index + 1]
        return Span(sizes[index], reached(index), kept, self.reconcile)

    def segment_of(self, reader: str) -> int:
        """Index of the segment that a reader is in; the network's outputs are after all of them."""
        if reader == OUTPUTS:
            return len(self.segments)
        return next(i for i, segment in enumerate(self.segments) if any(unit.name == reader for unit in segment))

    def boundaries(self) -> Iterator[tuple[str, Unit, Trainer | None, Span, int]]:
        """Of each block but the last: name, last unit, what trains it, how far its losses flow, its last segment."""
        ends = [segment[-1].name for segment in self.segments]
        for i, (name, block, trainer) in enumerate(zip(self.block_names, self.blocks, self.trainers, strict=False)):
            yield name, block[-1], trainer, self.span(i), ends.index(block[-1].name)

    def _find_segments(self) -> list[list[Unit]]:
        """The blocks, each but the last divided where losses of the next blocks stop within it."""
        inside = [block[-1 - self.overlap].name for block in self.blocks[:-1] if 0 < self.overlap < len(block)]
        return to_blocks(self.units, [*inside, *(block[-1].name for block in self.blocks[:-1])])

    def flow_faults(self) -> list[str]:
        """What is wrong with how losses are to flow."""
        count, faults = len(self.blocks), []
        if not 1 <= self.reach <= count:
            faults.append(f'reach = {self.reach} is not within 1 and the number of blocks, {count}')
        if self.overlap < 0:
            faults.append(f'overlap = {self.overlap} is below 0')
        if self.reconcile and not self.isolated:
            faults.append(f'reconcile = {self.reconcile} needs isolated blocks: reach = 1 and overlap = 0')
        return faults

    def crossing_faults(self) -> list[str]:
        """Cuts that the network's own connections do not allow."""
        faults, ends = [], [block[-1].name for block in self.blocks]
        for segment, following in pairwise(self.segments):
            cut, behind = segment[-1].name, following[0].name
            if cut not in self.probe.reads[behind]:
                where = f'partition[{ends.index(cut)}]' if cut in ends else f'overlap = {self.overlap}'
                faults.append(f'{where}: {behind!r} does not read the output of {cut!r}: no cut there{self._near(cut)}')
        for name, reader in sorted(self.probe.insides):
            if self.segment_of(name) != self.segment_of(reader):
                faults.append(
                    f'unit {name!r} is in another block than {reader!r}, which reads something inside of it, not '
                    'its output: its block would be finished by then. Cut elsewhere, or give the units: units=[...]'
                )
        faults += [
            f'unit {unit.name!r} is synthesised from {neighbour!r}, which is in another block: cut elsewhere, or leave '
            'that unit as it is'
            for unit in self.units
            for neighbour in getattr(self.network.get_submodule(unit.end), 'reads_weights_of', ())
            if self.segment_of(neighbour) != self.segment_of(unit.name)
        ]
        return faults + (self._skip_faults() if self.reconcile else [])

    def _near(self, cut: str) -> str:
        """The nearest unit behind which there can be a cut."""
        names = [unit.name for unit in self.units]
        places = {name: i for i, name in enumerate([*names, OUTPUTS])}
        crossed = [range(places[name], places[reader]) for name, reader in self.probe.insides]
        able = [
            i
            for i, behind in enumerate(names[1:])
            if names[i] in self.probe.reads[behind] and not any(i in crossing for crossing in crossed)
        ]
        best = min(able, key=lambda i: abs(i - places[cut]), default=None)
        return '' if best is None else f'; the nearest is behind {names[best]!r}'

    def _skip_faults(self) -> list[str]:
        skips = [
            unit.name
            for i, segment in enumerate(self.segments[:-1])
            for unit in segment[:-1]
            if any(self.segment_of(reader) > i for reader in self.probe.readers(unit.name))
        ]
        return [f'reconcile: {name!r} is read behind its block, where its gradient is cut' for name in skips]


def frozen_units(network: nn.Module, units: Sequence[Unit]) -> list[Unit]:
    """The units before the first one that learns."""
    trains = [unit.trains(network) for unit in units]
    return list(units[: trains.index(True)] if any(trains) else units)


def choose_cuts(
    network: nn.Module, units: Sequence[Unit], name: str, partition: Mapping[str, Any] | Sequence[str], faults: Faults
) -> list[str]:
    """The cuts that are right; what is wrong goes to `faults`, and checking goes on without it.

    Raises:
        ConfigError: if there is nothing to divide.
    """
    frozen = frozen_units(network, units)
    free = units[len(frozen) :]
    if not free:
        raise ConfigError(f'partition cannot divide {name}: all of its {len(units)} units are frozen')
    cuts: list[str] = []
    with faults.under('partition'):
        cuts = find_cuts(partition, list(free))
    faults.add('partition', check_cuts(cuts, list(units), frozen, name))
    if not faults.found:
        return cuts
    right = [c for c in cuts if not check_cuts([c], list(units), frozen, name)]
    return sorted(set(right or [free[0].name]), key=[unit.name for unit in units].index)
