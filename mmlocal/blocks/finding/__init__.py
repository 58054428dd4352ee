"""The units of a network, found by looking at one forward, or named."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mmlocal.blocks.finding.natural import natural_units
from mmlocal.blocks.finding.trace import Trace, images_of_sides, trace
from mmlocal.blocks.units import Unit
from mmlocal.errors import ConfigError, nearest

__all__ = ['find_units']


def find_units(
    network: nn.Module, names: Sequence[str] | None = None, side: int | None = None, channels: int | None = None
) -> tuple[list[Unit], Tensor]:
    """The units of `network` in the order they run, and an empty image (1, C, H, W) that it takes.

    Args:
        network: any network that takes images.
        names: module names of the units, if they are not to be found.
        side: of its images in pixels, if it is known.
        channels: of its images, if they are known.

    Raises:
        ConfigError: if a name is not a module, the network takes no empty image, or it cannot be cut anywhere.
    """
    images = images_of_sides(network, side, channels)
    if names is not None:
        return _named(network, names), next(images)
    found = trace(network, images)
    return _found(network, found), found.image


def _found(network: nn.Module, found: Trace) -> list[Unit]:
    """The units of a network that was traced.

    Raises:
        ConfigError: if it cannot be cut anywhere.
    """
    units = natural_units(network, found)
    if not units:
        raise ConfigError(
            f'{type(network).__name__} cannot be cut: behind none of its modules is everything that follows computed '
            'from the outputs of that module, and of earlier such ones. Give modules that are: units=[...]'
        )
    return units


def _named(network: nn.Module, names: Sequence[str]) -> list[Unit]:
    """Modules as units.

    Raises:
        ConfigError: if a name is not a module.
    """
    modules = [name for name, _ in network.named_modules() if name]
    unknown = [
        f'units[{i}] = {name!r} is not a module of {type(network).__name__}.{nearest(name, modules)}'
        for i, name in enumerate(names)
        if name not in modules
    ]
    if unknown:
        raise ConfigError(*unknown)
    return [Unit(name, (name,)) for name in names]
