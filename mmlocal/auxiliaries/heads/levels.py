"""A dense head's config, made for levels of other strides."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS
from mmlocal.signatures import signature_of

__all__ = ['place_on_levels', 'set_width', 'with_defaults']

# How heads and their generators of anchors call what has one entry a level, by the end of the name; besides these,
# whatever has a list a level (the sides of YOLO's anchors).
_STRIDES = 'strides'
_OF_LEVELS = ('ranges', 'sizes', 'edge_list', 'weights', 'channels')
# How they call the number of their levels.
_COUNTS = ('num_ins', 'num_levels')


def place_on_levels(dense_head: Mapping[str, Any], strides: Sequence[int]) -> dict[str, Any]:
    """A copy of a dense head's config that works on levels of these strides.

    Each new level gets what the level of the nearest stride had (anchors, weights), and the width of the narrowest.
    Ranges of sizes (`regress_ranges` of FCOS) are left open at both ends.

    Raises:
        ConfigError: if neither the head nor its anchor generator has strides.
    """
    config = copy.deepcopy(dict(dense_head))
    before = _strides_of(config)
    if before is None:
        raise ConfigError(
            f'dense_head of type {config.get("type")!r} has no strides, neither its own nor those of its '
            'anchor_generator: give one of them (any values; they are set to the strides of the block)'
        )
    index = [min(range(len(before)), key=lambda i: abs(before[i] - stride)) for stride in strides]
    return _placed(config, index, len(before), list(strides))


def _strides_of(config: Mapping[str, Any]) -> list[float] | None:
    """The strides of a head's levels: its own, or those of a part of it."""
    for name, value in config.items():
        if name.endswith(_STRIDES) and isinstance(value, (list, tuple)):
            return [stride[0] if isinstance(stride, (list, tuple)) else stride for stride in value]
    inside = (_strides_of(value) for value in config.values() if isinstance(value, Mapping))
    return next((strides for strides in inside if strides is not None), None)


def _placed(config: dict[str, Any], index: Sequence[int], count: int, strides: list[int]) -> dict[str, Any]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            config[name] = _placed(dict(value), index, count, strides)
        elif name in _COUNTS and value == count:
            config[name] = len(strides)
        elif name.endswith(_STRIDES) and isinstance(value, (list, tuple)):
            config[name] = list(strides)
        elif _has_entry_a_level(name, value, count):
            config[name] = _chosen(name, value, index)
    return config


def _has_entry_a_level(name: str, value: Any, count: int) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != count:
        return False
    return name.endswith(_OF_LEVELS) or all(isinstance(one, (list, tuple)) for one in value)


def _chosen(name: str, before: Sequence[Any], index: Sequence[int]) -> Sequence[Any]:
    """The entries of the new levels."""
    if name.endswith('channels'):
        return [min(before)] * len(index)
    found = [before[i] for i in index]
    if not name.endswith('ranges'):
        return found
    found[0] = (before[0][0], found[0][1])
    found[-1] = (found[-1][0], before[-1][1])
    return tuple(map(tuple, found))


def set_width(config: dict[str, Any], num_levels: int, given: int | None) -> int:
    """Give a head levels of one width each, and return it; mmyolo's have theirs in a module of their own.

    Args:
        config: of the head, changed in its place.
        num_levels: how many.
        given: the width, where it is not the head's to choose.
    """
    part = config.get('head_module', config)
    factor = part.pop('widen_factor', 1.0) if part is not config else 1.0
    for name, value in part.items() if factor != 1.0 else ():
        if name.endswith('channels'):
            part[name] = [round(one * factor) for one in value] if isinstance(value, list) else round(value * factor)
    own = part.get('in_channels', 256)
    several = isinstance(own, (list, tuple))
    first: int = own[0] if several else own
    width = given or (first if several or part is not config else part.get('feat_channels', first))
    part['in_channels'] = [width] * num_levels if several else width
    return width


def with_defaults(dense_head: Mapping[str, Any]) -> dict[str, Any]:
    """A head's config with what it leaves to its class of what it has by level: FCOS's ranges are for five."""
    config = _with_own(dense_head)
    if isinstance(config.get('head_module'), Mapping):
        config['head_module'] = _with_own(config['head_module'])
    return config


def _with_own(config: Mapping[str, Any]) -> dict[str, Any]:
    with MODELS.switch_scope_and_registry(None) as registry:
        parameters = signature_of(registry.get(config['type'])).parameters
    left = {
        name: one.default for name, one in parameters.items() if name.endswith((_STRIDES, *_OF_LEVELS, 'generator'))
    }
    left = {name: value for name, value in left.items() if value is not None and value is not inspect.Parameter.empty}
    return dict(config) | {name: copy.deepcopy(value) for name, value in left.items() if name not in config}
