"""Which of the units behind a boundary an auxiliary copies: functions from the boundary to those units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmlocal.blocks import Later, Place, stage_of
from mmlocal.errors import ConfigError, nearest
from mmlocal.registry import CHOICES

__all__ = ['choose', 'following', 'leap', 'per_stage', 'sampled']

# MLAAN's released chains for ResNet-32, -110 and -101 (arXiv 2406.16633) as (stage, unit), by the residual units
# a stage, then by the stage of the block. What is not behind the block is left out, so chains shorten.
_LEAPS: dict[tuple[int, ...], dict[int, tuple[tuple[int, int], ...]]] = {
    (5, 5, 5): {
        1: ((2, 0), (3, 0), (3, 2), (3, 4)),
        2: ((3, 0), (3, 2), (3, 3), (3, 4)),
        3: ((3, 2), (3, 3), (3, 4)),
    },
    (18, 18, 18): {
        1: ((2, 0), (3, 0), (3, 2), (3, 17)),
        2: ((3, 0), (3, 2), (3, 3), (3, 17)),
        3: ((3, 8), (3, 17)),
    },
    (3, 4, 23, 3): {
        1: ((2, 0), (3, 0), (4, 0), (4, 2)),
        2: ((3, 0), (4, 0), (4, 1)),
        3: ((4, 0), (4, 1)),
        4: ((4, 1), (4, 2)),
    },
}
# Blocks that end with a unit of their own chain, as released for a block a unit (K = 16 and 55).
_LEAPS_BEHIND: dict[tuple[int, ...], dict[tuple[int, int], tuple[tuple[int, int], ...]]] = {
    (5, 5, 5): {
        **dict.fromkeys([(1, 2), (1, 4)], ((2, 0), (3, 0), (3, 3), (3, 4))),
        (3, 0): ((3, 1), (3, 2), (3, 4)),
    },
    (18, 18, 18): {
        (2, 17): ((3, 0), (3, 3), (3, 4), (3, 17)),
        **{(3, i): ((3, 14), (3, 17)) for i in (7, 8, 9, 10)},
        **{(3, i): ((3, 15), (3, 17)) for i in (11, 12)},
        **{(3, i): ((3, 16), (3, 17)) for i in (13, 14, 15)},
    },
}


def choose(units: Mapping[str, Any] | Sequence[str], place: Place) -> list[Later]:
    """The units to copy, in order.

    Args:
        units: a list of unit names, or `dict(type=..., **arguments)` of a registered choice.
        place: the boundary.

    Raises:
        ConfigError: if the type or an argument is unknown, or a name is not a unit behind the boundary.
    """
    if not isinstance(units, Mapping):
        return _named(units, place)
    arguments = dict(units)
    name = arguments.pop('type', None)
    function: Callable[..., list[Later]] | None = CHOICES.get(name) if isinstance(name, str) else None
    if function is None:
        known = sorted(CHOICES.module_dict)
        raise ConfigError(f'units.type = {name!r} is not one of {", ".join(known)}.{nearest(str(name), known)}')
    try:
        return function(place, **arguments)
    except TypeError as error:
        raise ConfigError(f'units of type {name!r}: {error}') from error


def _named(names: Sequence[str], place: Place) -> list[Later]:
    later = {unit.name: unit for unit in place.later}
    before = {unit.name for unit in place.earlier}
    faults = []
    for i, name in enumerate(names):
        if name in before:
            faults.append(f'units[{i}] = {name!r} is not behind {place.block}, which ends with {place.cut!r}')
        elif name not in later:
            faults.append(f'units[{i}] = {name!r} is not a unit behind {place.cut!r}.{nearest(name, list(later))}')
    if faults:
        raise ConfigError(*faults)
    return [later[name] for name in names]


@CHOICES.register_module(name='Next')
def following(place: Place, depth: int = 1) -> list[Later]:
    """The next `depth` units (MAN: 1; MAN++ for ViT: 2)."""
    if depth < 1:
        raise ConfigError(f'units.depth = {depth} is below 1')
    return list(place.later[:depth])


@CHOICES.register_module(name='PerStage')
def per_stage(place: Place) -> list[Later]:
    """The first unit of every later stage; of every later block in a network of one stage (FBA's local module).

    A boundary in the last stage gets the next unit.
    """
    own = stage_of(place.cut)
    firsts = {stage_of(unit.name): unit for unit in reversed(place.later) if stage_of(unit.name) != own}
    if not firsts and stage_of(place.earlier[-1].name if place.earlier else place.cut) == _first_stage(place):
        firsts = {str(unit.block): unit for unit in reversed(place.later)}
    return list(reversed(firsts.values())) or [place.later[0]]


@CHOICES.register_module(name='Sampled')
def sampled(place: Place, depth: int = 3, shrink: float = 0.5) -> list[Later]:
    """Units at even distances to the network's end, fewer for later blocks (AugLocal).

    With n units behind unit l, which ends the block, and depth d: those at `round(l + n / d * i)`, i = 1 … d, counted
    from 0 along the network (halves are rounded to even places). The depth falls along the boundaries:
    `max(1, round(d * (1 - t) + t))`, t from 0 to `shrink`. Source: arXiv 2402.17318, released code.

    Args:
        place: the boundary.
        depth: units at the first boundary.
        shrink: t at the last boundary.
    """
    if depth < 1:
        raise ConfigError(f'units.depth = {depth} is below 1')
    t = place.between((0.0, shrink))
    here = min(max(1, round(depth * (1 - t) + t)), len(place.later))
    last = len(place.earlier) - 1
    places = [round(last + len(place.later) / here * i) for i in range(1, here + 1)]
    return [place.later[i - last - 1] for i in places]


@CHOICES.register_module(name='Leap')
def leap(place: Place, chains: Mapping[str, Sequence[str]] | None = None) -> list[Later]:
    """A chain of later units for the block's stage (MLAAN).

    Without `chains`, the published ones of ResNet-32, -110 and -101; for any other network the first unit of
    every later stage and the last unit (an interpretation).

    Args:
        place: the boundary.
        chains: names of units for each stage, by the stage's name (`layer1`), or for blocks that end with one unit,
            by its name (`layer1.2`). Those that are not behind the boundary are left out.
    """
    table = chains or _published_chains(place)
    names = table.get(place.cut, table.get(stage_of(place.cut)))
    if names is None and chains is not None:
        raise ConfigError(f'units.chains has none for {stage_of(place.cut)!r}, the stage of {place.cut!r}')
    if names is None:
        own = stage_of(place.cut)
        firsts = {stage_of(unit.name): unit for unit in reversed(place.later) if stage_of(unit.name) != own}
        return list({unit.name: unit for unit in [*reversed(firsts.values()), place.later[-1]]}.values())
    known = set(_names(place))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f'units.chains: {", ".join(map(repr, unknown))} is no unit of the network')
    order, stage = _names(place), stage_of(place.cut)
    first = next(i for i, name in enumerate(order) if stage_of(name) == stage)
    before = [name for name in names if order.index(name) <= first]
    if before:
        raise ConfigError(f'units.chains: {", ".join(map(repr, before))} is not behind the blocks of {stage!r}')
    return [unit for unit in place.later if unit.name in names] or [place.later[-1]]


def _published_chains(place: Place) -> dict[str, list[str]]:
    units = [name for name in _names(place) if name != 'stem']
    sizes = tuple(Counter(map(stage_of, units)).values())
    stages = list(dict.fromkeys(map(stage_of, units)))

    def named(chain: Sequence[tuple[int, int]]) -> list[str]:
        return [f'{stages[s - 1]}.{i}' for s, i in chain]

    chains = {stages[stage - 1]: named(chain) for stage, chain in _LEAPS.get(sizes, {}).items()}
    behind = _LEAPS_BEHIND.get(sizes, {})
    chains |= {f'{stages[stage - 1]}.{i}': named(chain) for (stage, i), chain in behind.items()}
    # A stem that is a block of its own leaps like the first stage.
    return {**chains, 'stem': chains[stages[0]]} if chains else {}


def _names(place: Place) -> list[str]:
    return [*(unit.name for unit in place.earlier), *(unit.name for unit in place.later)]


def _first_stage(place: Place) -> str:
    return next((stage_of(u.name) for u in place.earlier if u.name != 'stem'), stage_of(place.cut))
