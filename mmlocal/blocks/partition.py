"""Where a network is cut: functions from its units to the names of the units that end a block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from mmlocal.blocks.units import Unit, span
from mmlocal.errors import ConfigError, nearest
from mmlocal.registry import PARTITIONS

__all__ = ['balanced', 'budget', 'check_cuts', 'each', 'even', 'find_cuts', 'stage', 'to_blocks']


def find_cuts(partition: Mapping[str, Any] | Sequence[str], units: Sequence[Unit]) -> list[str]:
    """The names of the units that end a block, the last block's left out.

    Args:
        partition: a list of unit names, or `dict(type=..., **arguments)` of a registered partition.
        units: the units that may be divided, in order.

    Raises:
        ConfigError: if the type or an argument is unknown, or the units cannot be divided that way.
    """
    if not isinstance(partition, Mapping):
        return list(partition)
    arguments = dict(partition)
    name = arguments.pop('type', None)
    function: Callable[..., list[str]] | None = PARTITIONS.get(name) if isinstance(name, str) else None
    if function is None:
        known = sorted(PARTITIONS.module_dict)
        raise ConfigError(f'type = {name!r} is not a partition ({", ".join(known)}).{nearest(str(name), known)}')
    try:
        return function(units, **arguments)
    except TypeError as error:
        raise ConfigError(f' of type {name!r}: {error}') from error


@PARTITIONS.register_module(name='Even')
def even(units: Sequence[Unit], num_blocks: int) -> list[str]:
    """Blocks of as equal a number of units as can be; earlier blocks take the remainder.

    Example:
        >>> units = [Unit(name, (name,)) for name in 'abcde']
        >>> even(units, num_blocks=2)
        ['c']
    """
    if not 1 <= num_blocks <= len(units):
        raise ConfigError(
            f'num_blocks = {num_blocks} does not fit: {span(units)} are {len(units)} units that train, '
            f'so 1 to {len(units)} blocks are possible'
        )
    size, remainder = divmod(len(units), num_blocks)
    ends = [size * (i + 1) + min(i + 1, remainder) - 1 for i in range(num_blocks - 1)]
    return [units[end].name for end in ends]


@PARTITIONS.register_module(name='Stage')
def stage(units: Sequence[Unit]) -> list[str]:
    """One block a stage of the network; a stem belongs to the first.

    With stem and four stages this is the division of MAN++'s detector (arXiv 2507.16279, released code).
    """
    ends = [unit.name for unit, following in pairwise(units) if unit.stage != following.stage]
    return [name for name in ends if name != 'stem']


@PARTITIONS.register_module(name='Each')
def each(units: Sequence[Unit], tail: int = 1) -> list[str]:
    """A block for every unit, the last `tail` units together.

    AugLocal has a tail of d + 1 units, d the units of its first auxiliary (arXiv 2402.17318, released code).

    Example:
        >>> each([Unit(name, (name,)) for name in 'abcde'], tail=3)
        ['a', 'b']
    """
    if not 1 <= tail <= len(units):
        raise ConfigError(f'tail = {tail} does not fit: {span(units)} are {len(units)} units that train')
    return [unit.name for unit in units[:-tail]]


@PARTITIONS.register_module(name='Balanced')
def balanced(
    units: Sequence[Unit],
    num_blocks: int,
    shape: Sequence[int] | None = None,
    batch: int | None = None,
    otherwise: str | None = None,
) -> list[str]:
    """The cuts whose largest block, with its auxiliary, needs the fewest bytes in a training step.

    Depends on the whole model: `mmlocal.planning.plan` puts the cuts in its place before anything is built. Where a
    step cannot be estimated, that takes the partition named `otherwise` with as many blocks, and logs why.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(_UNPLANNED)


@PARTITIONS.register_module(name='Budget')
def budget(units: Sequence[Unit], peak: str, shape: Sequence[int] | None = None, batch: int | None = None) -> list[str]:
    """The fewest blocks that fit into `peak` (`'8GiB'`), weights and optimizer state counted in; see `Balanced`.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(_UNPLANNED)


_UNPLANNED = (
    ' depends on the whole model and is planned before it is built: mmlocal.planning.plan(cfg), as the tools of '
    'mmlocal do, puts a list of cuts in its place'
)


def check_cuts(cuts: Sequence[str], units: Sequence[Unit], frozen: Sequence[Unit], network: str) -> list[str]:
    """What is wrong with a list of cuts: a sentence each, beginning with the index.

    Args:
        cuts: unit names as given.
        units: all units of the network, in order.
        frozen: the first of them, which cannot learn.
        network: the network's name, for the message.
    """
    names = [unit.name for unit in units]
    faults = []
    last = -1
    for i, cut in enumerate(cuts):
        if cut not in names:
            known = f'{span(units)} ({len(units)})'
            near = _unit_around(cut, units) or nearest(cut, names)
            faults.append(f'[{i}] = {cut!r} is not a unit of {network}. Units: {known}.{near}')
            continue
        place = names.index(cut)
        if place == len(names) - 1:
            faults.append(
                f'[{i}] = {cut!r} is the last unit of {network}: the last block is trained by the model itself'
            )
        elif place < len(frozen):
            faults.append(f'[{i}] = {cut!r} lies in the frozen part ({span(frozen)}): its block could not learn')
        elif place <= last:
            faults.append(f'[{i}] = {cut!r} does not come behind {names[last]!r}: cuts are given in order, each once')
        last = max(last, place)
    return faults


def _unit_around(name: str, units: Sequence[Unit]) -> str:
    """The unit that a module lies in, or the last one in it, as a sentence; nothing for what is neither."""
    for unit in units:
        if any(name == module or name.startswith(f'{module}.') for module in unit.modules):
            return f' It lies within {unit.name!r}, behind which a cut is possible'
    inside = [unit.name for unit in units if unit.name.startswith(f'{name}.')]
    return f' It ends with {inside[-1]!r}, behind which a cut is possible' if inside else ''


def to_blocks(units: Sequence[Unit], cuts: Sequence[str]) -> list[list[Unit]]:
    """Divide `units` behind each of `cuts`."""
    blocks: list[list[Unit]] = [[]]
    for unit in units:
        blocks[-1].append(unit)
        if unit.name in cuts:
            blocks.append([])
    return blocks
