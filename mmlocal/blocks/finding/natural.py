"""The natural units of any network: the modules that repeat, between the places where it can be cut."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from torch import nn

from mmlocal.blocks.finding.candidates import STEM, Candidate, find_candidates, layers_of
from mmlocal.blocks.finding.ends import Ends, find_ends, whole_of
from mmlocal.blocks.finding.trace import Call, Node, Trace, moment
from mmlocal.blocks.units import Unit

__all__ = ['natural_units']


def natural_units(network: nn.Module, found: Trace) -> list[Unit]:
    """The chain of units of a network, from one forward of it.

    A unit is a member of a list of modules (`layer2.3`, `blocks.7`). What comes before the first of them is the `stem`;
    what stands between two of them belongs to the later one (patch merging), but for layers without parts (norms,
    pooling), which belong to the earlier one. What comes behind the last of them is in no unit. Where a network has no
    such lists, its own modules are units, or its layers with weights, each with the layers that follow.

    Args:
        network: whose they are.
        found: one forward of it.

    Returns:
        The units in the order in which they run; none where the network cannot be cut.
    """
    whole = whole_of(network)
    every = find_ends(found, whole)
    candidates = find_candidates(network, found, every, whole)
    ends = find_ends(found, whole, {candidate.name for candidate in candidates})
    candidates = [candidate for candidate in candidates if candidate.name in ends.calls]
    if any(candidate.member for candidate in candidates):
        groups = _with_members(found, ends, candidates)
    else:
        groups = _without(
            network, ends, [layer for candidate in candidates for layer in layers_of(network, every, candidate)]
        )
    return _filled(network, found, [(name, every.calls[end]) for name, end in groups])


def _with_members(found: Trace, ends: Ends, candidates: Sequence[Candidate]) -> list[tuple[str, str]]:
    """Name and last module of each unit of a network that has lists of modules."""
    first, last = (
        order.index(True) for order in ([p.member for p in candidates], [p.member for p in candidates[::-1]])
    )
    groups = _stem(found, ends, candidates[:first], candidates[first])
    open_name = ''
    for candidate in candidates[first : len(candidates) - last]:
        if candidate.layer and not open_name and groups[-1][1] not in ends.needed:
            groups[-1] = (groups[-1][0], candidate.name)
            continue
        open_name = candidate.name if candidate.member else open_name or candidate.name
        if candidate.member or candidate.name in ends.needed:
            groups.append((open_name, candidate.name))
            open_name = ''
    return groups


def _stem(found: Trace, ends: Ends, candidates: Sequence[Candidate], member: Candidate) -> list[tuple[str, str]]:
    """What comes before the first member; it is a part of that one where something without a module stands between."""
    groups = [
        (STEM if i == 0 else name, name) for i, name in enumerate(p.name for p in candidates if p.name in ends.needed)
    ]
    if groups or not candidates or not _reads_as_it_is(found, ends.calls[member.name], ends.calls[candidates[-1].name]):
        return groups
    return [(STEM, candidates[-1].name)]


def _reads_as_it_is(found: Trace, reader: Call, call: Call) -> bool:
    """Whether a call is given another's outputs, or these in another arrangement."""
    entry = [node for node in reader.entry if node in found.sources]
    return bool(entry) and all(_arranged(found, node, call) for node in entry)


def _arranged(found: Trace, node: Node, call: Call) -> bool:
    while node not in call.made:
        changes = any(name.startswith('_raw_saved') for name in dir(node))
        if changes or len(found.sources[node]) != 1 or node in found.weights:
            return False
        node = found.sources[node][0]
    return True


def _without(network: nn.Module, ends: Ends, candidates: Sequence[Candidate]) -> list[tuple[str, str]]:
    """Name and last module of each unit of a network without lists: its modules with parts, its layers with weights."""
    groups: list[tuple[str, str]] = []
    for candidate in candidates:
        begins = not candidate.layer or any(p.dim() > 1 for p in network.get_submodule(candidate.name).parameters())
        if begins or not groups or groups[-1][1] in ends.needed:
            groups.append((candidate.name, candidate.name))
        else:
            groups[-1] = (groups[-1][0], candidate.name)
    return groups


def _filled(network: nn.Module, found: Trace, groups: Sequence[tuple[str, Call]]) -> list[Unit]:
    """The units with all modules that run between the ends, and the weights that are used beside these."""
    units: list[Unit] = []
    begin, time, ways = -1, 0, [call for _, call in groups]
    for name, call in zip(_short([name for name, _ in groups]), ways, strict=True):
        on_way = _behind(found, call, time)
        modules = _modules(found, call, begin, on_way, [one.name for one in ways])
        inside = {id(p) for module in modules for p in network.get_submodule(module).parameters()}
        used = {weight for node in on_way if node in found.weights for weight in found.weights[node]}
        own = [w for w, p in network.named_parameters() if w in used and id(p) not in inside]
        units.append(Unit(name, tuple(modules), tuple(own)))
        begin, time = call.ended, call.time
    return units


def _behind(found: Trace, call: Call, since: int) -> set[Node]:
    """What a call's outputs were made of since a moment, the weights too."""
    waiting = list(call.made)
    known = set(waiting)
    while waiting:
        for source in found.sources.get(waiting.pop(), ()):
            if source not in known and (source in found.weights or moment(source) >= since):
                known.add(source)
                waiting.append(source)
    return known


def _modules(found: Trace, end: Call, begin: int, on_way: set[Node], ends: Sequence[str]) -> list[str]:
    """The outermost modules all of whose calls lie between two ends, on the way to the second one, in order."""
    spans: dict[str, tuple[int, int]] = {}
    for call in found.calls:
        first, last = spans.get(call.name, (call.began, call.ended))
        spans[call.name] = (min(first, call.began), max(last, call.ended))
    outside = {name for one in ends for name in _parents(one)}
    inside = {
        call.name: spans[call.name][1]
        for call in found.calls
        if spans[call.name][0] > begin
        and spans[call.name][1] <= end.ended
        and call.name not in outside
        and on_way.intersection(call.made)
    }
    outermost = [name for name in inside if not any(parent in inside for parent in _parents(name))]
    return sorted(outermost, key=inside.__getitem__)


def _parents(name: str) -> Iterator[str]:
    parts = name.split('.')
    return ('.'.join(parts[:i]) for i in range(1, len(parts)))


def _short(names: Sequence[str]) -> list[str]:
    """Names without a word between numbers (`stages.0.blocks.1` is `stages.0.1`), where they stay different."""
    short = [re.sub(r'(?<=\.\d)\.[A-Za-z_]+(?=\.\d+$)', '', name) for name in names]
    return short if len(set(short)) == len(names) else list(names)
