"""The kind of runner, and the strategy of a flexible one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mmengine._strategy import DDPStrategy
from mmengine.registry import RUNNERS, STRATEGIES
from mmengine.runner import FlexibleRunner

from mmlocal.errors import ConfigError, Faults, nearest
from mmlocal.validation.host_components import check_host_component
from mmlocal.validation.own_components import find_type

__all__ = ['check_runner']

# What mmengine's Runner reads of several processes, and a FlexibleRunner does not.
_NOT_READ = {
    'model_wrapper_cfg': 'strategy.model_wrapper',
    'sync_bn': 'strategy.sync_bn',
    'find_unused_parameters': 'strategy.model_wrapper.find_unused_parameters',
}


def check_runner(cfg: Mapping[str, Any]) -> None:
    """Look whether the runner is one, whether it reads what it is given, and whether its strategy fits the launcher.

    Raises:
        ConfigError: with all that was found.
    """
    kind, strategy = cfg.get('runner_type', 'Runner'), cfg.get('strategy')
    with RUNNERS.switch_scope_and_registry(None) as registry:
        runner = registry.get(kind) if isinstance(kind, str) else None
    if runner is None:
        raise ConfigError(f'runner_type = {kind!r} is not a runner.{nearest(str(kind), ["Runner", "FlexibleRunner"])}')
    if not issubclass(runner, FlexibleRunner):
        if strategy is not None:
            raise ConfigError(f"strategy is not read by {kind}: set runner_type = 'FlexibleRunner', or leave it out")
        return
    faults, launcher = Faults(), str(cfg.get('launcher') or 'none')
    for name, place in _NOT_READ.items():
        if launcher != 'none' and cfg.get(name):
            faults.found.append(f'{name} is not read by {kind}: give it as {place}')
    if strategy is not None:
        with faults.under('strategy'):
            check_host_component(strategy, STRATEGIES)
            _check_launcher(strategy, launcher)
    faults.report()


def _check_launcher(strategy: Mapping[str, Any], launcher: str) -> None:
    kind = find_type(strategy, STRATEGIES)
    if launcher == 'none' and inspect.isclass(kind) and issubclass(kind, DDPStrategy):
        raise ConfigError(
            f'type = {strategy["type"]!r} is for processes that a launcher has started: torchrun --nproc_per_node=2 '
            'tools/train.py CONFIG --launcher pytorch. For one process leave strategy out'
        )
