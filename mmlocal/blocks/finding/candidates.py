"""The modules that a network is made of, as far as it can be cut behind them: members of lists, layers, and others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from torch import nn

from mmlocal.blocks.finding.ends import Ends
from mmlocal.blocks.finding.trace import Trace, moment

__all__ = ['STEM', 'Candidate', 'find_candidates', 'layers_of']

# Papers count what a network calls so as one, however many layers it has.
STEM = 'stem'


def find_candidates(network: nn.Module, found: Trace, ends: Ends, whole: str) -> list[Candidate]:
    """The finest modules to cut behind that are not parts of a block, in the order in which they end.

    Args:
        network: whose they are.
        found: one forward of it.
        ends: the calls behind which it can be cut.
        whole: prefix of the module that is the whole network.
    """
    candidates = _Tree(network, ends).below(whole.rstrip('.'))
    # Finer than the image is what a network for super-resolution puts out: a loss there is the network's own.
    candidates = [candidate for candidate in candidates if ends.calls[candidate.name].side <= found.image.shape[-1]]
    between = _between(found, ends, [candidate.name for candidate in candidates])
    return _repeated(network, ends, [candidate for candidate in candidates if candidate.name in between])


@dataclass(frozen=True)
class Candidate:
    """A module behind which the network can be cut; a member of a list, or a layer without parts, or neither."""

    name: str
    member: bool = False
    layer: bool = False


class _Tree:
    """The finest modules to cut behind that are not parts of a block."""

    def __init__(self, network: nn.Module, ends: Ends) -> None:
        self.network, self.ends = network, ends
        self.kinds: dict[type, list[str]] = {}
        for name, module in network.named_modules():
            self.kinds.setdefault(type(module), []).append(name)
        self.found: dict[str, list[Candidate]] = {}

    def below(self, name: str, whole: bool = True) -> list[Candidate]:
        """The candidates inside of a module, in order; the module itself where it is a block."""
        if name not in self.found:
            module = self.network.get_submodule(name)
            children = [f'{name}.{child}' if name else child for child, _ in module.named_children()]
            inside = [candidate for child in children for candidate in self.below(child, whole=False)]
            inside.sort(key=lambda candidate: self.ends.calls[candidate.name].ended)
            self.found[name] = inside if whole or self._divides(name, module, inside) else self._itself(name, module)
        return self.found[name]

    def _itself(self, name: str, module: nn.Module) -> list[Candidate]:
        layer = next(module.children(), None) is None
        return [Candidate(name, self._is_member(name), layer)] if name in self.ends.calls else []

    def _divides(self, name: str, module: nn.Module, inside: Sequence[Candidate]) -> bool:
        """Whether a module is a list of units: one that is not called itself, or has members and always has them."""
        if isinstance(module, nn.ModuleList | nn.ModuleDict) and name not in self.ends.calls:
            return True
        if name.rpartition('.')[2] == STEM or not any(candidate.member for candidate in inside):
            return False
        if _in_sequence(module) or name not in self.ends.calls:
            return True
        # What begins with branches is a block, and so is what has another of its kind that does not divide.
        first, itself = (self.ends.calls[one] for one in (inside[0].name, name))
        return set(first.entry) <= set(itself.entry) and all(
            any(one.startswith(f'{other}.') for one in self.ends.calls) for other in self.kinds[type(module)]
        )

    def _is_member(self, name: str) -> bool:
        """Whether a module with parts is one of a list: by a number, or by a word and a number as its siblings are."""
        place, _, last = name.rpartition('.')
        parent = self.network.get_submodule(place)
        if next(self.network.get_submodule(name).children(), None) is None or last == STEM:
            return False
        if last.isdigit():
            return True
        siblings = {
            child: type(one) for child, one in parent.named_children() if next(one.children(), None) is not None
        }
        in_sequence = _in_sequence(parent) and any(child.isdigit() for child in siblings)
        alike = len({re.sub(r'\d+$', '', child) for child in siblings}) == len(set(siblings.values())) == 1
        return in_sequence or (alike and last[-1].isdigit() and len(siblings) == len(list(parent.children())))


def _in_sequence(module: nn.Module) -> bool:
    """Whether a module does nothing but run its children one after the other."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _between(found: Trace, ends: Ends, names: Sequence[str]) -> set[str]:
    """The candidates that are no branch: the next one does not read beside them what the one before put out."""
    kept = set(names)
    for before, name, behind in zip(names, names[1:], names[2:], strict=False):
        made, call, last = ends.calls[before].made, ends.calls[name], ends.calls[behind]
        beside = [node for node in made if node not in call.made]
        if any(call.time <= moment(reader) < last.time for node in beside for reader in found.readers.get(node, ())):
            kept.discard(name)
    return kept


def _repeated(network: nn.Module, ends: Ends, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates; of a list that is not called itself they are members only if two of a kind follow each other."""
    kinds = [type(network.get_submodule(candidate.name)) for candidate in candidates if not candidate.layer]
    follow = {kind for kind, behind in pairwise(kinds) if kind is behind}

    def stays(name: str) -> bool:
        parents = {parent.name for parent in ends.calls[name].parents}
        return name.rpartition('.')[0] in parents or type(network.get_submodule(name)) in follow

    return [replace(candidate, member=candidate.member and stays(candidate.name)) for candidate in candidates]


def layers_of(network: nn.Module, ends: Ends, candidate: Candidate) -> Iterator[Candidate]:
    """A candidate, or its layers where it is a plain sequence of such."""
    module = network.get_submodule(candidate.name)
    inside = [f'{candidate.name}.{name}' for name, _ in module.named_children()]
    plain = all(next(child.children(), None) is None for child in module.children())
    heavy = sum(any(p.dim() > 1 for p in child.parameters()) for child in module.children())
    if plain and heavy > 1 and _in_sequence(module) and all(name in ends.calls for name in inside):
        yield from (Candidate(name, layer=True) for name in inside)
    else:
        yield candidate
