"""Which units of a network are replaced, and why others cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from mmlocal.blocks.units import Unit, span
from mmlocal.errors import ConfigError, nearest
from mmlocal.models.replacement.synthesis import misfit

__all__ = ['Replacement', 'periodic', 'select']


@dataclass(frozen=True)
class Replacement:
    """A unit that is replaced, and those that it is synthesised from."""

    unit: Unit
    before: Unit
    after: Unit


def periodic(units: Sequence[Unit], every: int) -> list[str]:
    """One unit of every `every` of each stage, the one in the middle; the stem is a stage of its own.

    Example:
        >>> periodic([Unit('stem', ('stem',)), *(Unit(f'layer1.{i}', (f'layer1.{i}',)) for i in range(7))], every=3)
        ['layer1.1', 'layer1.4']
    """
    stages: dict[str, list[str]] = {}
    for unit in units[1:]:
        stages.setdefault(unit.stage, []).append(unit.name)
    return [name for names in stages.values() for name in names[every // 2 :: every]]


def select(
    network: nn.Module, units: Sequence[Unit], names: Sequence[str], form: str, skip: bool, place: str
) -> tuple[list[Replacement], list[str]]:
    """The units of `names` that can be replaced, in the order they run, and a sentence for each other one.

    Args:
        network: whose units they are.
        units: all of them, in order.
        names: the wanted ones.
        form: `scalars` or `transformation`.
        skip: leave out a unit that cannot be replaced, instead of refusing it.
        place: where the names are in the config.

    Raises:
        ConfigError: of unknown names, and of what cannot be replaced unless that is skipped; all at once.
    """
    kind, known = type(network).__name__, [unit.name for unit in units]
    unknown = [
        f'{place}[{i}] = {name!r} is not a unit of {kind}. Units: {span(units)} ({len(units)}).{nearest(name, known)}'
        for i, name in enumerate(names)
        if name not in known
    ]
    chosen: list[Replacement] = []
    left: list[str] = []
    for i in sorted({known.index(name) for name in names if name in known}):
        why = _obstacle(network, units, i, form, {one.unit.name for one in chosen})
        if why is None:
            chosen.append(Replacement(units[i], units[i - 1], units[i + 1]))
        else:
            left.append(f'{known[i]!r} {why}')
    faults = unknown if skip else [*unknown, *(f'{place}: {sentence}' for sentence in left)]
    if faults:
        raise ConfigError(*faults)
    return chosen, left


def _obstacle(network: nn.Module, units: Sequence[Unit], i: int, form: str, chosen: set[str]) -> str | None:
    """Why unit `i` cannot be replaced, or none."""
    unit, kind = units[i], type(network).__name__
    if i == 0:
        return f'is the first unit of {kind}: no unit before it to be synthesised from'
    if i == len(units) - 1:
        return f'is the last unit of {kind}: no unit behind it to be synthesised from'
    if len(unit.modules) > 1 or ('.' in unit.name and unit.stage != units[i - 1].stage):
        return 'is the first of its stage: its neighbours do not do what it does'
    if not unit.trains(network):
        return 'is frozen: there is nothing to replace'
    if units[i - 1].name in chosen:
        return f'stands next to {units[i - 1].name!r}, which is replaced: that one has no weights to give'
    own = _tensors(network, unit)
    for neighbour in (units[i - 1], units[i + 1]):
        why = misfit(own, _tensors(network, neighbour), form)
        if why is not None:
            return f'cannot be synthesised from {neighbour.name!r}: {why}'
    return None


def _tensors(network: nn.Module, unit: Unit) -> dict[str, nn.Parameter]:
    return dict(network.get_submodule(unit.end).named_parameters())
