"""What a host builds is right: components are built first, and explained only where that fails."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine import registry as kinds
from mmengine.logging import MMLogger
from mmengine.registry import Registry
from torch.overrides import TorchFunctionMode

from mmlocal.config import find_backbone, find_replaced, stock_network
from mmlocal.errors import ConfigError, reason
from mmlocal.randomness import undisturbed

__all__ = ['check_by_building', 'model_builder', 'part_builder', 'silent', 'weightless']

Build = Callable[[], Any]
# Its samples are never looked at.
_DATASET = (0,) * 8


@undisturbed()
def check_by_building(build: Build, explain: Callable[[], None], whole: bool = False) -> None:
    """Accept what can be built, and explain what cannot.

    Args:
        build: builds it as the host does.
        explain: raises a `ConfigError` with what is wrong, in the words of the config, or finds nothing.
        whole: whether `build` has all that the runner would give it, so that its own error is a fault even where
            nothing explains it.

    Raises:
        ConfigError: of `explain`; or with the error of the host.
    """
    try:
        with silent():
            build()
        return
    except ConfigError:
        raise
    except OSError:  # files are looked for elsewhere
        return
    except Exception as error:  # a component may raise anything
        caught = error
    explain()
    if whole:
        raise ConfigError(f' cannot be built: {reason(caught)}') from caught


@contextmanager
def silent() -> Iterator[None]:
    """What a component says when it is built it says again in the run."""
    logger = MMLogger.get_current_instance()
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


class _NumbersAtOnce(TorchFunctionMode):
    """Makes real numbers of what networks read while they are built: the rates of their dropped paths."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func is torch.linspace:
            given.setdefault('device', 'cpu')
        return func(*args, **given)


@contextmanager
def weightless() -> Iterator[None]:
    """What is built inside has no memory for its weights, as far as it lets itself be built so."""
    with torch.device('meta'), _NumbersAtOnce():
        yield


def model_builder(cfg: Mapping[str, Any], device: str = 'meta') -> Build:
    """Builds the model of a config, its local network as the stock one; on meta no weights are made."""

    def build() -> Any:
        model = copy.deepcopy(dict(cfg['model']))
        found = find_backbone(cfg) or find_replaced(cfg)
        if found is not None:
            model[found[0].removeprefix('model.')] = stock_network(found[1])
        with weightless() if device == 'meta' else torch.device(device):
            return kinds.MODELS.build(model)

    return build


def part_builder(config: Any, registry: Registry, default: str | None = None) -> Build:
    """Builds a component that stands alone: a transform, a hook, a sampler, a dataset that reads no file yet."""

    def build() -> Any:
        given = copy.deepcopy(dict(config))
        if default is not None:
            given.setdefault('type', default)
        if registry is kinds.DATASETS:
            given = _lazy(given)
        if registry is kinds.DATA_SAMPLERS:
            given = dict(dataset=_DATASET, seed=0) | given
        if registry is kinds.HOOKS:
            given.pop('priority', None)
        return registry.build(given)

    return build


def _lazy(config: Any) -> Any:
    """A dataset, and those inside of it, that read no annotations yet."""
    if isinstance(config, (list, tuple)):
        return [_lazy(one) for one in config]
    inside = {
        name: _lazy(config[name]) for name in ('dataset', 'datasets') if isinstance(config.get(name), (dict, list))
    }
    return {**config, **inside, 'lazy_init': True}
