"""The units of a network: the smallest pieces between which it can be cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmlocal.errors import ConfigError, nearest
from mmlocal.registry import UNIT_FINDERS

__all__ = ['Probe', 'Shape', 'Unit', 'find_units', 'probe', 'resnet_units', 'span']


@dataclass(frozen=True)
class Unit:
    """A piece of a network that runs once in a forward, from one tensor to one tensor.

    Args:
        name: how configs and messages call it (`stem`, `layer2.3`).
        modules: names of the network's modules that belong to it, in the order they run. The output
            of the last one is the unit's output.
    """

    name: str
    modules: tuple[str, ...]

    @property
    def stage(self) -> str:
        """The part of the name before the first dot: `layer2` of `layer2.3`."""
        return self.name.split('.')[0]

    @property
    def end(self) -> str:
        """The module whose output is the unit's output."""
        return self.modules[-1]

    def parameters(self, network: nn.Module) -> list[nn.Parameter]:
        """All parameters of the unit in `network`."""
        return [p for name in self.modules for p in network.get_submodule(name).parameters()]

    def trains(self, network: nn.Module) -> bool:
        """Whether anything in the unit can learn; a unit without parameters counts as frozen."""
        return any(p.requires_grad for p in self.parameters(network))


@dataclass(frozen=True)
class Shape:
    """A unit's output: its channels, and by what factor it is smaller than the input image."""

    channels: int
    stride: float


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


@UNIT_FINDERS.register_module(name='ResNet')
def resnet_units(network: nn.Module) -> list[Unit]:
    """Stem and residual units of any network built like a ResNet (mmdet, mmseg, mmpretrain).

    The stem runs from the first convolution to the pooling, so that a cut behind it is a cut behind
    the pooling.
    """
    parts = ('stem', 'conv1', getattr(network, 'norm1_name', 'norm1'), 'relu', 'maxpool')
    stem = tuple(name for name in parts if isinstance(getattr(network, name, None), nn.Module))
    stages = [(stage, len(getattr(network, stage))) for stage in network.res_layers]  # type: ignore[union-attr]
    units = [f'{stage}.{i}' for stage, count in stages for i in range(count)]
    return [Unit('stem', stem), *(Unit(name, (name,)) for name in units)]


@dataclass(frozen=True)
class Probe:
    """What one forward of a network shows: its units' shapes, and which of their outputs it returns."""

    shapes: Mapping[str, Shape]
    handed_out: tuple[str, ...]


def probe(network: nn.Module, units: Sequence[Unit], image: Tensor) -> Probe:
    """Run `image` (1, C, H, W) through `network` once and watch its units.

    In evaluation mode and without gradients, so nothing of the network changes.

    Raises:
        ConfigError: if a unit is not run exactly once, or its output is not one tensor: it cannot be cut.
    """
    seen: dict[str, list[Any]] = {unit.name: [] for unit in units}
    handles = [
        network.get_submodule(unit.end).register_forward_hook(
            lambda _module, _args, output, name=unit.name: seen[name].append(output)
        )
        for unit in units
    ]
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            outputs = network(image)
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    _refuse_uncuttable(seen)
    returned = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    handed_out = tuple(name for name, (output,) in seen.items() if any(output is other for other in returned))
    return Probe({name: _shape(output, image) for name, (output,) in seen.items()}, handed_out)


def _refuse_uncuttable(seen: dict[str, list[Any]]) -> None:
    faults = []
    for name, outputs in seen.items():
        if len(outputs) != 1:
            faults.append(f'unit {name!r} runs {len(outputs)} times in a forward; it must run exactly once')
        elif not isinstance(outputs[0], Tensor):
            faults.append(f'unit {name!r} puts out a {type(outputs[0]).__name__}; it must be one tensor')
    if faults:
        raise ConfigError(*faults)


def _shape(output: Tensor, image: Tensor) -> Shape:
    # A token sequence (N, L, C) has no map: its channels come last and its stride is not used.
    if output.dim() != 4:
        return Shape(output.shape[-1], 1.0)
    return Shape(output.shape[1], image.shape[-1] / output.shape[-1])
