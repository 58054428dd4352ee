"""The units of a network: the smallest pieces between which it can be cut."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map

__all__ = ['Chain', 'Unit', 'separate', 'span', 'stage_of', 'tensors_in', 'with_tensors']


@dataclass(frozen=True)
class Unit:
    """A piece of a network that runs once in a forward, from one feature to one feature.

    Args:
        name: how configs and messages call it (`stem`, `layer2.3`).
        modules: names of the network's modules that belong to it, in the order they run. The output
            of the last one is the unit's output.
        own: names of parameters that belong to it beside those of its modules (a class token).
    """

    name: str
    modules: tuple[str, ...]
    own: tuple[str, ...] = ()

    @property
    def stage(self) -> str:
        """The part of the network that the unit belongs to."""
        return stage_of(self.name)

    @property
    def end(self) -> str:
        """The module whose output is the unit's output."""
        return self.modules[-1]

    def module(self, network: nn.Module) -> nn.Module:
        """The unit as one module, to run or to copy by itself."""
        modules = [network.get_submodule(name) for name in self.modules]
        return modules[0] if len(modules) == 1 else Chain(modules)

    def parameters(self, network: nn.Module) -> list[nn.Parameter]:
        """All parameters of the unit in `network`."""
        inside = [p for name in self.modules for p in network.get_submodule(name).parameters()]
        return inside + [network.get_parameter(name) for name in self.own]

    def trains(self, network: nn.Module) -> bool:
        """Whether anything in the unit can learn; a unit without parameters counts as frozen."""
        return any(p.requires_grad for p in self.parameters(network))


class Chain(nn.Module):
    """Modules one after the other.

    What a module puts out or is given beside the feature (Swin's map size) goes on to the next one, as far as that
    takes it: a norm takes the feature alone.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(modules)
        self.room = [_room(module) for module in modules]

    def forward(self, feature: Tensor, *further: Any) -> Any:
        """From the first module's input to the last one's output; with `further` as a tuple, if there is any."""
        for step, room in zip(self.steps, self.room, strict=True):
            feature, further = separate(step(feature, *further[:room]), further)
        return (feature, *further) if further else feature


def _room(module: nn.Module) -> int | None:
    """How many values a module takes beside the feature; None if any number."""
    kinds = [parameter.kind for parameter in inspect.signature(module.forward).parameters.values()]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return None if inspect.Parameter.VAR_POSITIONAL in kinds else sum(kind in positional for kind in kinds) - 1


def separate(output: Any, further: tuple[Any, ...] = ()) -> tuple[Any, tuple[Any, ...]]:
    """The feature in a module's output, and what goes with it: its own, or what the module was given.

    Of several maps (HRNet's branches) the finest is the feature, and of other tensors the first.

    Example:
        >>> separate(('feature', (7, 7)))
        ('feature', ((7, 7),))
        >>> separate('feature', ((7, 7),))
        ('feature', ((7, 7),))
    """
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, (tuple, list)) and output:
        i = max(range(len(output)), key=lambda i: _pixels(output[i]))
        return output[i], (*output[:i], *output[i + 1 :])
    return output, further


def _pixels(value: Any) -> int:
    return value.shape[-2] * value.shape[-1] if isinstance(value, Tensor) and value.dim() == 4 else 0


def tensors_in(values: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and mappings, in order."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from tensors_in(value)
    elif isinstance(values, Mapping):
        yield from tensors_in(list(values.values()))


def with_tensors(values: Any, others: Mapping[int, Tensor]) -> Any:
    """Nested tuples, lists and mappings with other tensors in the places of some, which are given by their ids."""
    return tree_map(lambda value: others.get(id(value), value), values)


def stage_of(name: str) -> str:
    """The stage of a unit, by its name: the name without its last part, or all of a name that has one part.

    Example:
        >>> stage_of('stages.1.0'), stage_of('layer2.3'), stage_of('stem')
        ('stages.1', 'layer2', 'stem')
    """
    return name.rpartition('.')[0] or name


def span(units: Sequence[Unit]) -> str:
    """`stem … layer1.2` for a run of units."""
    return units[0].name if len(units) == 1 else f'{units[0].name} … {units[-1].name}'
