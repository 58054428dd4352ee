"""The calls of modules behind which a network can be cut, seen in the graph of one forward."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from torch import nn

from mmlocal.blocks.finding.trace import Call, Node, Trace, moment

__all__ = ['Ends', 'find_ends', 'whole_of']


@dataclass(frozen=True)
class Ends:
    """Where a network can be cut.

    Args:
        calls: by the module's name, in the order in which they end; each is read by the next.
        needed: names of those whose outputs are read from somewhere else as well: outputs that are handed out, skips.
    """

    calls: Mapping[str, Call]
    needed: frozenset[str]


def whole_of(network: nn.Module) -> str:
    """The prefix of the module that is the whole network: of wrappers the only child with weights, else none."""
    prefix, module = '', network
    while True:
        heavy = [(name, child) for name, child in module.named_children() if next(child.parameters(), None) is not None]
        own = next(module.parameters(recurse=False), None)
        if len(heavy) != 1 or own is not None or next(heavy[0][1].children(), None) is None:
            return prefix
        prefix, module = f'{prefix}{heavy[0][0]}.', heavy[0][1]


def find_ends(found: Trace, whole: str, among: Collection[str] | None = None) -> Ends:
    """The calls behind which the network can be cut.

    All that was computed before the end of such a call and is read behind it is an output of the call, or of an
    earlier one of them. The latter is a skip, which a link carries; it must lead out of all modules that the call lies
    in, for what is read within these is a branch of theirs.

    Args:
        found: one forward.
        whole: prefix of the module that is the whole network.
        among: modules to look at, if not all of them.
    """
    ends = {name: call for name, call in found.once().items() if call.made and not whole.startswith(f'{name}.')}
    ends = {name: call for name, call in ends.items() if among is None or name in among}
    beside = _beside(found, ends.values())
    around = {name: _around(call, whole) for name, call in ends.items()}
    ends = {
        name: call
        for name, call in ends.items()
        if name in beside and all(first >= around[name] for first in beside[name].values())
    }
    while True:
        kept: dict[str, Call] = {}
        carried: set[Node] = set()
        for name, call in ends.items():
            if beside[name].keys() <= carried:
                kept[name] = call
                carried.update(call.made)
        kept = _in_turn(found, kept)
        if len(kept) == len(ends):
            break
        ends = kept
    skips = {node for name in ends for node in beside[name]}
    return Ends(
        ends, frozenset(name for name, call in ends.items() if skips & set(call.made)) | _handed_out(found, ends)
    )


def _around(call: Call, whole: str) -> int:
    """The moment at which the outermost module around a call ends."""
    return next((parent.time for parent in call.parents if not whole.startswith(f'{parent.name}.')), -1)


def _beside(found: Trace, calls: Iterable[Call]) -> dict[str, dict[Node, int]]:
    """By call that is read, what else was computed before its end and is read behind it, and when first."""
    waiting = found.operations()[::-1]
    read = {node: sorted(map(moment, found.readers.get(node, ()))) for node in waiting}
    outputs, alive = set(found.outputs), set()
    beside: dict[str, dict[Node, int]] = {}
    for call in calls:
        while waiting and moment(waiting[-1]) < call.time:
            alive.add(waiting.pop())
        alive = {node for node in alive if read[node] and read[node][-1] >= call.time}
        if alive.isdisjoint(call.made) and outputs.isdisjoint(call.made):
            continue
        others = alive.difference(call.made)
        beside[call.name] = {node: next(r for r in read[node] if r >= call.time) for node in others}
    return beside


def _owners(calls: Mapping[str, Call]) -> dict[Node, list[Call]]:
    owners: dict[Node, list[Call]] = {}
    for call in calls.values():
        for node in call.made:
            owners.setdefault(node, []).append(call)
    return owners


def _met(found: Trace, start: Iterable[Node], owners: Mapping[Node, list[Call]], before: int) -> list[Call]:
    """The calls, ended before a moment, whose outputs are met first on the ways back from `start`."""
    waiting = list(start)
    known, met = set(waiting), []
    while waiting:
        node = waiting.pop()
        here = [call for call in owners.get(node, ()) if call.time < before]
        if here:
            met += here
            continue
        fresh = [source for source in dict.fromkeys(found.sources.get(node, ())) if source not in known]
        known.update(fresh)
        waiting += fresh
    return met


def _in_turn(found: Trace, calls: Mapping[str, Call]) -> dict[str, Call]:
    """Those of the calls that lead from one to the next, to the last one."""
    owners = _owners(calls)
    by_time: dict[int, list[Call]] = {}
    for call in calls.values():
        by_time.setdefault(call.time, []).append(call)
    times: set[int] = set()
    time = max(by_time, default=None)
    while time is not None:
        times.add(time)
        met = _met(found, (node for call in by_time[time] for node in call.made), owners, time)
        time = max((call.time for call in met), default=None)
    return {name: call for name, call in calls.items() if call.time in times}


def _handed_out(found: Trace, calls: Mapping[str, Call]) -> frozenset[str]:
    """The calls whose outputs are the network's, as they are or behind what nothing else reads."""
    owners = _owners(calls)
    return frozenset(call.name for output in found.outputs for call in _met(found, [output], owners, 1 << 62))
