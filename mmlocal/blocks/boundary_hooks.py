"""Forward hooks on the units of a divided network: outside of a training step they let everything pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.profiler import record_function
from torch.utils._pytree import tree_map

from mmlocal.blocks.division import Division
from mmlocal.blocks.sizes import MapSize
from mmlocal.blocks.step import current_step
from mmlocal.blocks.trainer import Span, Trainer
from mmlocal.blocks.units import Unit, separate, tensors_in, with_tensors

__all__ = ['Boundary', 'hook_units']


def hook_units(division: Division) -> None:
    """Boundaries at the cuts; detached features where a loss stops, and where a unit is read after its block."""
    boundaries = {}
    for name, end, trainer, span, last in division.boundaries():
        boundaries[end.name] = Boundary(name, trainer, span, last)
        boundaries[end.name].size.watch(division.network, end)
    reads = {name for trainer in division.auxiliaries for name in trainer.reads}
    for i, segment in enumerate(division.segments[:-1]):
        links = _links(division, i)
        for unit in segment:
            if unit.name in reads:
                _hook(division.network, unit, _Keep(unit.name))
            if unit.name in boundaries:
                _hook(division.network, unit, boundaries[unit.name])
            elif unit is segment[-1]:
                _hook(division.network, unit, _EndSegment(i))
            elif unit.name in links:
                _hook(division.network, unit, _link)


def _links(division: Division, number: int) -> set[str]:
    """The units of a segment that hand on leaves: those read behind it, and those read past such a one.

    Between two leaves a graph is gone through once: what leads past a leaf would be gone through twice.
    """
    names = [unit.name for unit in division.segments[number]]
    places = {name: i for i, name in enumerate(names)}
    read = {name: [places.get(reader, len(names)) for reader in division.probe.readers(name)] for name in names}
    links: set[str] = set()
    for i in reversed(range(len(names))):
        first = min((places[link] for link in links), default=len(names))
        if any(reader == len(names) or reader > first for reader in read[names[i]]):
            links.add(names[i])
    return links


def _hook(network: nn.Module, unit: Unit, hook: Any) -> None:
    network.get_submodule(unit.end).register_forward_hook(hook)


class Boundary:
    """Forward hook on the last module of a block: trains the block and replaces its output."""

    def __init__(self, block: str, trainer: Trainer | None, reach: Span, segment: int) -> None:
        self.block = block
        self.trainer = trainer
        self.reach = reach
        self.segment = segment
        self.size = MapSize()

    def __call__(self, _module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        step = current_step()
        if step is None:
            return None
        feature, further = self.size.separate(args, output)
        tensors = [feature, *(tensor for tensor in _learned(output) if tensor is not feature)]
        further = tree_map(lambda value: value.detach() if isinstance(value, Tensor) else value, further)
        with record_function(f'{self.block}.boundary'):
            leaves = step.train_block(tensors, self.trainer, self.reach, self.segment, further)
        return _in_place(output, tensors, leaves)


class _Keep:
    """Forward hook on a unit whose output a later auxiliary reads."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        step = current_step()
        if step is not None:
            step.keep(self.name, separate(output)[0])


class _EndSegment:
    """Forward hook on a unit inside a block from which on later losses flow back."""

    def __init__(self, segment: int) -> None:
        self.segment = segment

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        step, tensors = current_step(), _learned(output)
        if step is None or not tensors:
            return None
        return _in_place(output, tensors, step.end_segment(tensors, self.segment))


def _link(_module: nn.Module, _args: Any, output: Any) -> Any:
    """Forward hook on a unit inside a block that something after the block reads."""
    step, tensors = current_step(), _learned(output)
    # What is frozen has no graph to enter.
    if step is None or not tensors:
        return None
    return _in_place(output, tensors, step.link(tensors))


def _learned(output: Any) -> list[Tensor]:
    return [tensor for tensor in tensors_in(output) if tensor.requires_grad]


def _in_place(output: Any, tensors: Sequence[Tensor], leaves: Sequence[Tensor]) -> Any:
    return with_tensors(output, {id(tensor): leaf for tensor, leaf in zip(tensors, leaves, strict=True)})
