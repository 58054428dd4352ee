"""Any host's config trained by a method, without writing a file: `--local man --blocks 4`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmlocal.errors import ConfigError, nearest
from mmlocal.presets import PRESETS, method_names
from mmlocal.registry import MODELS

__all__ = ['leaf_text', 'make_local', 'method_names', 'stock_network']

_SLOTS = ('backbone', 'generator')


def make_local(cfg: Config, method: str, num_blocks: int, partition: Mapping[str, Any] | None = None) -> Config:
    """The local version of a host's config: its network cut into `num_blocks` blocks of equal numbers of units.

    Nothing is built, and `cfg` is not changed.

    Args:
        cfg: of a host.
        method: name of a preset.
        num_blocks: that the network is cut into.
        partition: another one than `Even`, without the number of blocks.

    Raises:
        ConfigError: if the method is unknown, or the model has not exactly one network to cut.
    """
    known = method_names()
    if method not in known:
        raise ConfigError(f'--local {method!r} is not one of {", ".join(known)}.{nearest(method, known)}')
    cfg = copy.deepcopy(cfg)
    network = cfg.model[_slot(cfg)]
    preset = Config.fromfile(PRESETS / f'{method}.py')[method]
    # A network may have an `arch` of its own (ViT, Swin).
    own = {'arch': network.arch} if 'arch' in network else {}
    network.arch = ConfigDict(type=network.type, **own) if own else network.type
    network.type = 'mmlocal.LocalBackbone'
    network.partition = ConfigDict({'type': 'Even', **(partition or {}), 'num_blocks': num_blocks})
    network.update(copy.deepcopy(preset))
    return cfg


def stock_network(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the stock network in a `LocalBackbone`, a `ReplacementBackbone`, or both.

    Example:
        >>> stock_network(dict(type='mmlocal.LocalBackbone', arch='ResNet', depth=50, partition=['layer1.2']))
        {'depth': 50, 'type': 'ResNet'}
    """
    if not str(backbone['type']).startswith('mmlocal.'):
        return dict(backbone)
    function: Any = MODELS.get(backbone['type'])
    # One that only `custom_imports` bring is a network itself.
    own = inspect.signature(function.__init__ if inspect.isclass(function) else function).parameters if function else ()
    if 'arch' not in own:
        return dict(backbone)
    network = {name: value for name, value in backbone.items() if name not in ('type', *own)}
    arch = backbone['arch']
    return stock_network({**network, **(arch if isinstance(arch, Mapping) else {'type': arch})})


def _slot(cfg: Config) -> str:
    places = list(_networks(cfg.get('model') or {}, 'model'))
    if len(places) > 1:
        raise ConfigError(
            f'--local cannot choose between several networks: {", ".join(places)}. Write a config for one'
        )
    slot = places[0].removeprefix('model.') if places else ''
    if slot not in _SLOTS:
        where = f'its only one is {places[0]}' if places else 'the config has neither'
        raise ConfigError(f'--local needs a network to cut in model.backbone or model.generator, and {where}')
    if str(cfg.model[slot].get('type')).split('.')[-1] == 'LocalBackbone':
        raise ConfigError(f'--local: model.{slot} is local already')
    return slot


def _networks(config: Any, place: str) -> Iterator[str]:
    """Places of everything that a model calls its backbone or generator."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key in _SLOTS and isinstance(value, Mapping) and 'type' in value:
                yield f'{place}.{key}'
            yield from _networks(value, f'{place}.{key}')


def _as_text(arch: Any) -> str:
    if not isinstance(arch, Mapping):
        return repr(arch)
    # A dict replaces the network's own text only if it is told to.
    return f'dict(_delete_=True, {_arguments(arch)})'


def _arguments(given: Mapping[str, Any]) -> str:
    return ', '.join(f'{name}={value!r}' for name, value in given.items())


def leaf_text(path: str, cfg: Config, method: str) -> str:
    """The config file that a user would write to keep what `make_local` made of the config at `path`.

    It may lie anywhere: its bases are named by their packages, or by absolute paths.
    """
    path = path if '::' in path else str(Path(path).absolute())
    slot = next(slot for slot in _SLOTS if slot in cfg.model)
    network = cfg.model[slot]
    return f"""_base_ = [{path!r}, 'mmlocal::_base_/local/{method}.py']
model = dict(
    {slot}=dict(
        type='mmlocal.LocalBackbone',
        arch={_as_text(network.arch)},
        partition=dict({_arguments(network.partition)}),
        **_base_.{method},
    )
)
"""
