"""The units of a network: the smallest pieces between which it can be cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mmlocal.errors import ConfigError, nearest
from mmlocal.registry import UNIT_FINDERS

__all__ = ['Chain', 'Unit', 'find_units', 'separate', 'span', 'stage_of']


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

    What a module puts out or is given beside the feature (Swin's map size) goes on to the next one.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(modules)

    def forward(self, feature: Tensor, *further: Any) -> Any:
        """From the first module's input to the last one's output; with `further` as a tuple, if there is any."""
        for step in self.steps:
            feature, further = separate(step(feature, *further), further)
        return (feature, *further) if further else feature


def separate(output: Any, further: tuple[Any, ...] = ()) -> tuple[Any, tuple[Any, ...]]:
    """The feature in a module's output, and what goes with it: its own, or what the module was given.

    Example:
        >>> separate(('feature', (7, 7)))
        ('feature', ((7, 7),))
        >>> separate('feature', ((7, 7),))
        ('feature', ((7, 7),))
    """
    if isinstance(output, (tuple, list)) and output:
        return output[0], tuple(output[1:])
    return output, further


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


def find_units(network: nn.Module, names: Sequence[str] | None = None) -> list[Unit]:
    """The units of `network` in the order they run.

    Args:
        network: any network. One whose class (or a base class) has a unit finder needs no names.
        names: module names of the units, for any other network.

    Raises:
        ConfigError: if a name is not a module, or no names are given and the class is unknown.
    """
    if names is not None:
        return _named_units(network, names)
    for base in type(network).__mro__:
        finder: Callable[[nn.Module], list[Unit]] | None = UNIT_FINDERS.get(base.__name__)
        if finder is not None:
            return finder(network)
    known = ', '.join(sorted(UNIT_FINDERS.module_dict))
    raise ConfigError(
        f'units is not given, and mmlocal does not know the units of {type(network).__name__} '
        f'(it knows {known}). Give the module names: units=[...]'
    )


def _named_units(network: nn.Module, names: Sequence[str]) -> list[Unit]:
    modules = [name for name, _ in network.named_modules() if name]
    unknown = [
        f'units[{i}] = {name!r} is not a module of {type(network).__name__}.{nearest(name, modules)}'
        for i, name in enumerate(names)
        if name not in modules
    ]
    if unknown:
        raise ConfigError(*unknown)
    return [Unit(name, (name,)) for name in names]
