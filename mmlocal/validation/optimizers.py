"""Optimizer, its wrapper and the schedules of a config."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS, PARAM_SCHEDULERS
from torch import nn

from mmlocal.errors import ConfigError, Faults, nearest, reason, similar
from mmlocal.validation.building import check_by_building
from mmlocal.validation.host_components import check_host_component
from mmlocal.validation.own_components import check_arguments, check_component, find_type

__all__ = ['check_optim_wrapper', 'check_scheduler']

# Read by those who build an optimizer wrapper, not by the wrapper.
_CONSTRUCTOR_KEYS = ('base_constructor', 'constructor', 'paramwise_cfg')
# Around the constructor of the config, where a model is local.
_OF_BLOCKS = 'mmlocal.LocalOptimWrapperConstructor'
# Of mmengine's constructor.
_PARAMWISE = (
    'bias_decay_mult',
    'bias_lr_mult',
    'bypass_duplicate',
    'custom_keys',
    'dcn_offset_lr_mult',
    'dwconv_decay_mult',
    'flat_decay_mult',
    'norm_decay_mult',
)
_CUSTOM = ('lr_mult', 'decay_mult')


def check_optim_wrapper(wrapper: Mapping[str, Any], local: Mapping[str, Any] | None) -> None:
    """Look at an optimizer wrapper; with a constructor of its own the optimizer is that one's matter.

    Args:
        wrapper: its config.
        local: the config of the local backbone, or none without one.

    Raises:
        ConfigError: with all that is wrong.
    """
    faults = Faults()
    key = 'base_constructor' if wrapper.get('constructor') == _OF_BLOCKS else 'constructor'
    constructor = wrapper.get(key)
    if constructor is not None:
        with faults.under(), OPTIM_WRAPPER_CONSTRUCTORS.switch_scope_and_registry(None) as registry:
            # The user wrote it as the constructor.
            find_type({'constructor': constructor}, registry, 'constructor')
    if constructor in (None, DefaultOptimWrapperConstructor.__name__):  # what others read is theirs
        with faults.under():
            _check_wrapper(wrapper)
    if wrapper.get('type') == 'AmpOptimWrapper' and not torch.cuda.is_available():
        faults.found.append(f'type = {wrapper["type"]!r} needs a GPU, and torch sees none here')
    if constructor is None:
        with faults.under('optimizer'):
            _check_optimizer(wrapper.get('optimizer'))
        if local is not None:
            with faults.under():
                _check_policy(wrapper, local)
    faults.report()


def _check_wrapper(wrapper: Mapping[str, Any]) -> None:
    arguments = {name: value for name, value in wrapper.items() if name not in _CONSTRUCTOR_KEYS}
    faults = Faults()
    with faults.under(), OPTIM_WRAPPERS.switch_scope_and_registry(None) as registry:
        function = find_type({'type': 'OptimWrapper', **wrapper}, registry)
        # Wrappers hand their **kwargs to their bases as they are.
        check_arguments(arguments, [function], function.__name__, thorough=True)
    clip = wrapper.get('clip_grad')
    if isinstance(clip, Mapping):
        with faults.under('clip_grad'):
            by = nn.utils.clip_grad_value_ if clip.get('type') == 'value' else nn.utils.clip_grad_norm_
            given = {name: value for name, value in clip.items() if name != 'parameters'}
            check_arguments(given, [by], by.__name__)
    with faults.under('paramwise_cfg'):
        _check_paramwise(wrapper.get('paramwise_cfg') or {})
    faults.report()


def _check_paramwise(config: Mapping[str, Any]) -> None:
    listed = f' Known: {", ".join(_PARAMWISE)}'
    faults = [
        f'{name} = {value!r} is read by nobody.{nearest(name, _PARAMWISE) or listed}'
        for name, value in config.items()
        if name not in _PARAMWISE
    ]
    for name, value in (config.get('custom_keys') or {}).items():
        slips = [key for key in value if key not in _CUSTOM and similar(key, _CUSTOM)]
        faults += [f'custom_keys.{name}.{key} is read by nobody.{nearest(key, _CUSTOM)}' for key in slips]
    if faults:
        raise ConfigError(*faults)


def _check_optimizer(config: Any) -> None:
    """Hold it against its signature, and build it on one parameter to see what it says to its values."""
    with OPTIMIZERS.switch_scope_and_registry(None) as registry:
        check_component(copy.deepcopy(config), registry)
        try:
            registry.build({**copy.deepcopy(dict(config)), 'params': [nn.Parameter(torch.zeros(1))]})
        except Exception as error:  # whatever an optimizer says to a value
            raise ConfigError(f' cannot be built: {reason(error)}') from error


def check_scheduler(config: Any) -> None:
    """Look at a schedule, and build it on an optimizer that is there for nothing else.

    Raises:
        ConfigError: if its type or an argument is not known, or it does not take a value.
    """
    if isinstance(config, Mapping):
        config = {name: value for name, value in config.items() if name != 'convert_to_iter_based'}
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)

    def build() -> None:
        scheduler = PARAM_SCHEDULERS.build({**copy.deepcopy(config), 'optimizer': optimizer})
        for _ in range(2):  # one by epochs would take its first step after hours
            optimizer.step()
            scheduler.step()

    check_by_building(
        build,
        lambda: check_host_component(config, PARAM_SCHEDULERS),
        whole=config,
    )


def _check_policy(wrapper: Mapping[str, Any], local: Mapping[str, Any]) -> None:
    """What the block-wise wrapper refuses when it is built, and what it could refuse only in training."""
    from mmlocal.engine import BlockwiseOptimWrapper

    policy, count = wrapper.get('step_policy', 'auto'), wrapper.get('accumulative_counts', 1)
    answer = wrapper.get('on_nonfinite', 'stop')
    faults = Faults()
    with faults.under():
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.0)
        try:
            BlockwiseOptimWrapper(optimizer, policy, on_nonfinite=answer, accumulative_counts=count)
        except (AssertionError, TypeError) as error:
            raise ConfigError(f'accumulative_counts = {count!r} cannot be used: {reason(error)}') from error
    # As `Division.isolated` has them.
    for name, alone in (('reach', 1), ('overlap', 0)):
        value = local.get(name, alone)
        if policy == 'per_block' and isinstance(value, int) and value > alone:
            faults.found.append(
                f"step_policy = 'per_block' needs {name} = {alone}, not {value}: later losses still use the block"
            )
    faults.report()
