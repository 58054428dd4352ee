"""Every section of a config, each held against who reads it: the runner, and the components that it builds."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine import registry as kinds
from mmengine.dist import init_dist
from mmengine.registry import Registry
from mmengine.runner import Runner, set_random_seed
from torch.distributed import init_process_group
from torch.utils.data import DataLoader

from mmlocal.config import find_backbone, find_replaced, keys_read
from mmlocal.errors import ConfigError, Faults, nearest, similar
from mmlocal.hosts import HOSTS, host_named
from mmlocal.validation.building import (
    TooLargeError,
    check_by_building,
    model_builder,
    part_builder,
    with_stock_network,
)
from mmlocal.validation.data.files import loaders_of
from mmlocal.validation.host_components import check_host_component, check_later_parts, check_own_arguments, has_type
from mmlocal.validation.optimizers import check_scheduler
from mmlocal.validation.own_components import check_arguments, shown
from mmlocal.validation.runners import check_runner

__all__ = ['check_forms', 'check_keys', 'check_scope', 'check_sections']

_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint', 'visualization')
_ENVIRONMENT = {'cudnn_benchmark': None, 'mp_cfg': ('mp_start_method', 'opencv_num_threads')}
_ENVIRONMENT |= {'dist_cfg': None, 'resource_limit': None, 'dynamo_cache_size_limit': None}
_LEVELS = ('NOTSET', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL', 'FATAL', 'WARN')
_FORMS: dict[Any, str] = {
    dict: 'a dict',
    (dict, list, tuple): 'a dict or a list',
    (list, tuple): 'a list',
    str: 'a text',
    bool: 'True or False',
}
_SECTIONS: dict[Any, Sequence[str]] = {
    dict: ('model', 'train_cfg', 'val_cfg', 'test_cfg', 'optim_wrapper', 'default_hooks', 'env_cfg', 'randomness'),
    (dict, list, tuple): [
        *('train_dataloader', 'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator'),
        'param_scheduler',
    ],
    (list, tuple): ('custom_hooks',),
    str: ('load_from', 'work_dir', 'default_scope', 'launcher', 'experiment_name'),
    bool: ('resume',),
}
# Taken where the config names none.
# A function is no component to be built, a visualizer is one for the whole process.
_NOT_BUILT = (kinds.FUNCTIONS, kinds.VISUALIZERS)
_PASSED_ON = (kinds.HOOKS, kinds.LOG_PROCESSORS)
_LOOPS = {'train': 'EpochBasedTrainLoop', 'val': 'ValLoop', 'test': 'TestLoop'}


def check_forms(cfg: Mapping[str, Any]) -> None:
    """Look whether each section is what a runner can look into: a dict, a list, a text.

    Raises:
        ConfigError: with each that is not.
    """
    faults = [
        f'{key} = {cfg[key]!r} is not {_FORMS[kind]}'
        for kind, keys in _SECTIONS.items()
        for key in keys
        if cfg.get(key) is not None and not isinstance(cfg[key], kind)
    ]
    if faults:
        raise ConfigError(*faults)


def check_scope(cfg: Mapping[str, Any]) -> None:
    """Look whether the package is there that types without a prefix belong to.

    Raises:
        ConfigError: if it is not.
    """
    scope = cfg.get('default_scope')
    if isinstance(scope, str) and scope and find_spec(scope.partition('.')[0]) is None:
        hint = nearest(scope, ['mmengine', *HOSTS])
        raise ConfigError(f'default_scope = {scope!r} is not a package that is installed.{hint}')


def check_keys(cfg: Mapping[str, Any]) -> None:
    """Look for keys that are nearly one of those that a runner reads: nobody reads them.

    Raises:
        ConfigError: with each of them.
    """
    of_runner = [name for name in inspect.signature(Runner).parameters if name != 'self']
    faults, read = [], keys_read()
    for key in cfg:
        known = key in read
        meant = '' if known else similar(key, of_runner, 0.9)
        if meant:
            faults.append(f'{key}{shown(cfg[key])} is read by nobody. Did you mean {meant!r}?')
    if faults:
        raise ConfigError(*faults)


def check_sections(cfg: Mapping[str, Any], splits: Iterable[str]) -> None:
    """Look at every component that a run of `splits` builds, but the local backbone and the optimizer.

    Args:
        cfg: the config, in the scope of its host.
        splits: `train`, `val`, `test`.

    Raises:
        ConfigError: with every unknown type and argument, and every value of the wrong kind.
    """
    faults, splits = Faults(), tuple(splits)
    with faults.checking('model'):
        _check_model(cfg)
    with faults.checking('data_preprocessor'):
        model = cfg.get('model') or {}
        if not model.get('data_preprocessor'):  # else the model's own is taken
            _check_one(cfg.get('data_preprocessor'), kinds.MODELS, host_named(cfg).data_preprocessor)
    for split in splits:
        for place, loader in loaders_of(cfg, split):
            with faults.checking(place):
                _check_loader(loader)
        with faults.checking(f'{split}_cfg'):
            _check_loop(cfg.get(f'{split}_cfg'), split)
        with faults.checking(f'{split}_evaluator'):
            _check_evaluator(cfg.get(f'{split}_evaluator'))
    if 'train' in splits:
        with faults.checking('param_scheduler'):
            _check_each(cfg.get('param_scheduler'), check_scheduler)
        with faults.checking('model_wrapper_cfg'):
            _check_one(cfg.get('model_wrapper_cfg'), kinds.MODEL_WRAPPERS)
    with faults.under():
        check_runner(cfg)
    _check_surroundings(cfg, faults)
    faults.report()


def _check_surroundings(cfg: Mapping[str, Any], faults: Faults) -> None:
    """Hooks, logs, pictures and the process."""
    with faults.checking('default_hooks'):
        _check_default_hooks(cfg.get('default_hooks'))
    with faults.checking('custom_hooks'):
        _check_each(cfg.get('custom_hooks'), _check_hook)
    for place, registry, default in (
        ('visualizer', kinds.VISUALIZERS, 'Visualizer'),
        ('log_processor', kinds.LOG_PROCESSORS, 'LogProcessor'),
    ):
        with faults.checking(place):
            _check_one(cfg.get(place), registry, default)
    with faults.checking('randomness'):
        _check_call(cfg.get('randomness'), set_random_seed)
    with faults.checking('auto_scale_lr'):
        _check_names(cfg.get('auto_scale_lr'), ['enable', 'base_batch_size'], 'auto_scale_lr')
    with faults.checking('env_cfg'):
        _check_environment(cfg.get('env_cfg'))
    level = cfg.get('log_level')
    if isinstance(level, str) and level.upper() not in _LEVELS:
        faults.found.append(f'log_level = {level!r} is not one of {", ".join(_LEVELS[:6])}.{nearest(level, _LEVELS)}')


def _check_model(cfg: Mapping[str, Any]) -> None:
    """The host's model, with its network as stock has it."""
    model = cfg.get('model')

    def explain() -> None:
        # Perhaps it was the meta device's fault: some networks read numbers off their tensors.
        explain = partial(check_host_component, model, kinds.MODELS)
        check_by_building(model_builder(cfg, 'cpu'), explain, whole=with_stock_network(cfg))

    def build() -> None:
        try:
            model_builder(cfg)()
        except TooLargeError:
            raise
        except ConfigError:
            # Of a part of ours in a network of ours: told with its place where that network is built by itself.
            if find_backbone(cfg) is None and find_replaced(cfg) is None:
                raise

    if isinstance(model, Mapping):
        check_by_building(build, explain)
        check_later_parts(model)


def _check_one(config: Any, registry: Registry, default: str | None = None) -> None:
    """A component that may be left out, or be one that is built."""
    if not isinstance(config, Mapping):
        return
    given = {'type': default, **config} if default else config
    if registry in _NOT_BUILT or 'ann_file' in given:
        check_host_component(given, registry)
    else:
        check_by_building(part_builder(given, registry), lambda: check_host_component(given, registry))
        if registry in _PASSED_ON:
            check_own_arguments(given, registry)


def _check_each(configs: Any, check: Callable[[Any], None]) -> None:
    faults = Faults()
    if isinstance(configs, Mapping):
        check(configs)
    elif isinstance(configs, (list, tuple)):
        for i, config in enumerate(configs):
            with faults.checking(f'[{i}]'):
                check(config)
    elif configs is not None:
        raise ConfigError(f' = {configs!r} is neither a component, dict(type=...), nor a list of them')
    faults.report()


def _check_names(config: Any, names: Sequence[str], reader: str) -> None:
    """A dict whose reader knows its keys, and passes over all others: a slip for one of them is refused."""
    if config is None:
        return
    if not isinstance(config, Mapping):
        raise ConfigError(f' = {config!r} is not a dict: dict({names[0]}=...)')
    meant = {name: nearest(str(name), names) for name in config if name not in names}
    faults = [f'{name}{shown(config[name])} is not read by {reader}.{hint}' for name, hint in meant.items() if hint]
    if faults:
        raise ConfigError(*faults)


def _check_call(config: Any, *functions: Callable[..., Any]) -> None:
    """A dict whose entries are given to a function, or to another one behind it."""
    if config is None:
        return
    if not isinstance(config, Mapping):
        raise ConfigError(f' = {config!r} is not a dict')
    check_arguments(dict(config), functions, functions[0].__name__)


def _check_environment(config: Any) -> None:
    faults = Faults()
    with faults.under():
        _check_names(config, list(_ENVIRONMENT), 'env_cfg')
    inner = config.get('mp_cfg') if isinstance(config, Mapping) else None
    if isinstance(config, Mapping):
        with faults.under('dist_cfg'):
            _check_call(config.get('dist_cfg'), init_dist, init_process_group)
    with faults.under('mp_cfg'):
        _check_names(inner, _ENVIRONMENT['mp_cfg'] or (), 'mp_cfg')
        _check_threads((inner or {}).get('opencv_num_threads'))
    faults.report()


def _check_threads(count: Any) -> None:
    """OpenCV starts as many as it is told to, and waits for ever for those that do not come."""
    limit = Path('/proc/sys/kernel/threads-max')
    most = int(limit.read_text()) if limit.exists() else sys.maxsize
    if isinstance(count, (int, float)) and count > most:
        raise ConfigError(f'opencv_num_threads = {count} is more than this system has for all its processes ({most})')


def _check_loader(config: Mapping[str, Any]) -> None:
    """A data loader: what the runner takes out of it, and torch's arguments."""
    faults = Faults()
    own = {'num_batch_per_epoch': 1, 'disable_subprocess_warning': True}
    with faults.under():
        arguments = {name: value for name, value in config.items() if name not in own}
        check_arguments(arguments, [DataLoader], 'a data loader')
    for name, least in (('batch_size', 1), ('num_workers', 0)):
        value = config.get(name)
        if isinstance(value, (int, float)) and value < least:
            faults.found.append(f'{name} = {value} is below {least}')
        elif isinstance(value, float) and value:
            faults.found.append(f'{name} = {value} is not a whole number')
    if 'dataset' not in config:  # without a sampler, images come in their order
        faults.found.append('dataset is missing')
    for name, registry in (
        ('dataset', kinds.DATASETS),
        ('sampler', kinds.DATA_SAMPLERS),
        ('batch_sampler', kinds.DATA_SAMPLERS),
        ('collate_fn', kinds.FUNCTIONS),
        ('worker_init_fn', kinds.FUNCTIONS),
    ):
        with faults.checking(name):
            if isinstance(config.get(name), (str, int, float, list, tuple)):
                raise ConfigError(f' = {config[name]!r} is not a component: dict(type=...)')
            _check_one(config.get(name), registry)
    faults.report()


def _check_loop(config: Any, split: str) -> None:
    if not isinstance(config, Mapping):
        return
    config, by_epoch = dict(config), config.get('by_epoch', True)
    if 'type' not in config:
        config.pop('by_epoch', None)
        config['type'] = 'IterBasedTrainLoop' if split == 'train' and not by_epoch else _LOOPS[split]
    check_host_component(config, kinds.LOOPS)
    for name in ('max_epochs', 'max_iters'):
        value = config.get(name)
        if isinstance(value, int) and value < 1:
            raise ConfigError(f'{name} = {value} is below 1')
    if config.get('val_interval') == 0:  # by which is divided; -1 does as 1
        raise ConfigError('val_interval = 0 is below 1')


def _check_evaluator(config: Any) -> None:
    def check(one: Any) -> None:
        if isinstance(one, Mapping) and ('type' not in one or has_type(one, kinds.EVALUATOR)):
            check_host_component({'type': 'Evaluator', **one}, kinds.EVALUATOR)
        else:
            _check_one(one, kinds.METRICS)

    _check_each(config, check)


def _check_hook(config: Any) -> None:
    if isinstance(config, Mapping):
        config = {name: value for name, value in config.items() if name != 'priority'}
    elif not isinstance(config, str) and config is not None and hasattr(config, 'before_run'):
        return
    _check_one(config, kinds.HOOKS) if isinstance(config, Mapping) else check_host_component(config, kinds.HOOKS)


def _check_default_hooks(config: Any) -> None:
    """Hooks by name; a name that is new and has no type is a slip for a known one."""
    faults, listed = Faults(), f' Known: {", ".join(_HOOKS)}'
    for name, hook in config.items() if isinstance(config, Mapping) else ():
        if isinstance(hook, Mapping) and 'type' not in hook and name not in _HOOKS:
            faults.found.append(f'{name}{shown(hook)} is no default hook.{nearest(name, _HOOKS) or listed}')
        elif hook is not None:
            with faults.checking(name):
                _check_hook(hook)
    faults.report()
