"""Components of other people's packages, with all that is inside of them."""

from __future__ import annotations

import copy
import difflib
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine import registry as kinds
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import Runner
from torch import nn

from mmlocal.errors import ConfigError, Faults, nearest, reason, similar
from mmlocal.hosts import Host, host_named
from mmlocal.hosts.operations import operations
from mmlocal.quiet import silent
from mmlocal.signatures import signature_of
from mmlocal.validation.own_components import check_arguments, find_type, look_up

__all__ = ['check_host_component', 'check_later_parts', 'check_own_arguments', 'has_type']

# What is so small, and has so little to do with anything else, that it is built to see what it says to its values.
_BUILT_ALONE = (kinds.TRANSFORMS, kinds.LOG_PROCESSORS)
# Hosts' hooks may look for a visualizer, which a runner makes first.
_OWN_HOOKS = ('mmengine.hooks', 'mmlocal.')
# What `check_component` looks at, with what the network takes itself.
_OF_LOCAL_BACKBONE = ('type', 'partition', 'auxiliary', 'units', 'arch')
# By the key under which a component is held, whatever holds it.
_BY_KEY = {
    'pipeline': kinds.TRANSFORMS,
    'transforms': kinds.TRANSFORMS,
    'init_cfg': kinds.WEIGHT_INITIALIZERS,
    'vis_backends': kinds.VISBACKENDS,
    'metrics': kinds.METRICS,
    'datasets': kinds.DATASETS,
    'dataset': kinds.DATASETS,
}
_OTHERS = (
    kinds.MODELS,
    kinds.TASK_UTILS,
    kinds.TRANSFORMS,
    kinds.DATASETS,
    kinds.FUNCTIONS,
    kinds.METRICS,
    kinds.DATA_SAMPLERS,
    kinds.OPTIMIZERS,
    kinds.WEIGHT_INITIALIZERS,
)
# Their parts are those of another library.
_OPAQUE = ('Albu', 'Albumentations')
# Taken out by who builds the component, not by the component.
_TAKEN_OUT = {'_delete_', '_scope_', 'fallback_on_stride', 'override', 'requires_grad'}
_TAKEN_OUT |= {'magnitude_key', 'magnitude_range', 'pretrained', 'start_iter'}
# Read by who holds them, who gives `type` a meaning of its own.
_READ_BY_HOLDER = ('adapter', 'ensemble', 'vis_kwargs_list')


def check_host_component(config: Any, registry: Registry, alone: bool = True) -> None:
    """Look at types and arguments of a component and of everything in it that has a type.

    Args:
        config: the component.
        registry: what it is built from. What is inside may be of another one.
        alone: whether who holds it gives it no further arguments.

    Raises:
        ConfigError: with every unknown type, and every unknown or unsuitable argument.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f' = {config!r} is not a component: dict(type=...)')
    with _scoped(registry, config.get('_scope_')) as scoped:
        faults = Faults()
        with faults.under():
            function = find_type(config, scoped)
            light = registry in _BUILT_ALONE or (registry is kinds.METRICS and _host().light_metrics)
            _check_own(dict(config), function, light and alone)
        if str(config.get('type')).split('.')[-1] not in _OPAQUE:
            with faults.under():
                _check_inside(config)
        faults.report()


def check_own_arguments(config: Mapping[str, Any], registry: Registry) -> None:
    """Look at the arguments of a component of mmengine's or mmlocal's, which hands some of them on unseen.

    Raises:
        ConfigError: with each that nobody takes.
    """
    with _scoped(registry, config.get('_scope_')) as scoped:
        function = find_type(config, scoped)
        if str(function.__module__).startswith(('mmengine.', 'mmlocal.')):
            _check_own({name: value for name, value in config.items() if name != 'priority'}, function, False)


def check_later_parts(model: Any) -> None:
    """Look at what a model builds only when it is used: initialisers of weights, and operations of mmcv.

    Raises:
        ConfigError: with each type that is unknown.
    """
    faults = Faults()
    for name, value in _items(model):
        if not isinstance(value, (Mapping, list, tuple)):
            continue
        with faults.under(name):
            if isinstance(value, Mapping) and 'type' in value:
                _check_later(value, name)
            check_later_parts(value)
    faults.report()


def _check_later(config: Mapping[str, Any], key: str) -> None:
    if key == 'init_cfg' and not _host().own_init_cfg:
        with _scoped(kinds.WEIGHT_INITIALIZERS, None) as scoped:
            find_type(config, scoped)
    if key == 'nms' and config['type'] not in operations() and similar(str(config['type']), operations()):
        _check_part(config, key)


def _check_own(config: dict[str, Any], function: Any, alone: bool) -> None:
    taken = signature_of(function).parameters
    arguments = {name: value for name, value in config.items() if name in taken or name not in _TAKEN_OUT}
    called = getattr(function, '__name__', str(function))
    own_hook = inspect.isclass(function) and issubclass(function, Hook) and function.__module__.startswith(_OWN_HOOKS)
    check_arguments(arguments, [function, *_further(function, arguments)], called, needed=alone)
    # A metric would read its file.
    if not (alone or own_hook) or ('ann_file' in arguments and taken['ann_file'].default is not None):
        return
    arguments |= dict(ann_file=None) if 'ann_file' in arguments else {}
    given = {name: copy.deepcopy(value) for name, value in arguments.items() if name != 'type'}
    try:
        with silent():
            built = function(**given)
            if isinstance(built, EMAHook):
                kinds.MODELS.build(built.ema_cfg, default_args=dict(model=nn.Linear(1, 1)))
    except ConfigError:
        raise
    except OSError:  # files are looked for elsewhere
        return
    except Exception as error:  # whatever a constructor says to a value
        # Without its file a metric may say anything, but hardly that it does not know a name.
        if 'ann_file' in arguments and not isinstance(error, KeyError):
            return
        raise ConfigError(f' cannot be built: {reason(error)}') from error


def _further(function: Any, arguments: Mapping[str, Any]) -> list[Any]:
    """Who gets the `**kwargs` that a hook keeps for later."""
    if inspect.isclass(function) and issubclass(function, CheckpointHook):
        return [Runner.save_checkpoint]
    if inspect.isclass(function) and issubclass(function, EMAHook):
        with _scoped(kinds.MODELS, None) as scoped:
            return [find_type({'type': arguments.get('ema_type', 'ExponentialMovingAverage')}, scoped)]
    return []


def _check_inside(config: Any, key: str = '') -> None:
    faults = Faults()
    for name, value in _items(config):
        within = key if name.startswith('[') else name
        if within in _READ_BY_HOLDER or (within == 'init_cfg' and _host().own_init_cfg):
            continue
        if isinstance(value, Mapping) and str(value.get('type')).split('.')[-1] == 'LocalBackbone':
            value = {k: v for k, v in value.items() if k not in _OF_LOCAL_BACKBONE}
        with faults.under(name):
            if isinstance(value, Mapping) and 'type' in value:
                _check_part(value, within)
            elif isinstance(value, (Mapping, list, tuple)):
                _check_inside(value, within)
    faults.report()


def _items(config: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(config, Mapping):
        yield from ((str(name), value) for name, value in config.items())
    else:
        yield from ((f'[{i}]', value) for i, value in enumerate(config))


def _check_part(config: Mapping[str, Any], key: str) -> None:
    registry = _BY_KEY.get(key, kinds.MODELS)
    for other in (registry, *_OTHERS, *_of_host()):
        if has_type(config, other):
            check_host_component(config, other, alone=key in _BY_KEY)
            return
    if config['type'] in operations():
        return
    faults = Faults()
    if similar(str(config['type']), operations()):
        hint = nearest(config['type'], operations())
        raise ConfigError(f'type = {config["type"]!r} is no operation of mmcv.{hint}')
    meant = max((registry, *_OTHERS), key=lambda one: _closeness(str(config['type']), one))
    with faults.under(), _scoped(meant, config.get('_scope_')) as scoped:
        find_type(config, scoped)
    with faults.under():
        _check_inside(config)
    faults.report()


def _closeness(name: str, registry: Registry) -> float:
    """How near the nearest name of a registry is; of names that are far off, none is meant."""
    with _scoped(registry, None) as scoped:
        known = {*scoped.module_dict, *scoped.root.module_dict}
    name = name.partition('.')[2] or name
    near = difflib.get_close_matches(name, known, n=1)
    return difflib.SequenceMatcher(None, name, near[0]).ratio() if near else 0.0


def _of_host() -> Iterator[Registry]:
    """Registries that a host has beside those of mmengine."""
    module = sys.modules.get(f'{_scope()}.registry')
    yield from (one for one in vars(module or object).values() if isinstance(one, Registry) and one.parent is None)


def has_type(config: Mapping[str, Any], registry: Registry) -> bool:
    """Whether a registry knows the type of a component."""
    name = config['type']
    with _scoped(registry, config.get('_scope_')) as scoped:
        return callable(name) or (isinstance(name, str) and look_up(name, scoped) is not None)


def _host() -> Host:
    return host_named(dict(default_scope=_scope()))


def _scope() -> str:
    current = DefaultScope.get_current_instance()
    return current.scope_name if current else 'mmengine'


@contextmanager
def _scoped(registry: Registry, scope: str | None) -> Iterator[Registry]:
    """A host's registry; mmengine's own where the host has none of this kind, which mmengine would warn of."""
    name = scope or _scope()
    if name in kinds.MODELS.children and name not in registry.children:
        yield registry
    else:
        with registry.switch_scope_and_registry(scope) as scoped:
            yield scoped
