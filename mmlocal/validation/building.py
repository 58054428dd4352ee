"""What a host builds is right: components are built first, and explained only where that fails."""

from __future__ import annotations

import copy
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine import registry as kinds
from mmengine.registry import Registry
from torch.overrides import TorchFunctionMode

from mmlocal.config import find_backbone, find_replaced, stock_network
from mmlocal.errors import ConfigError, reason
from mmlocal.quiet import silent
from mmlocal.randomness import undisturbed
from mmlocal.validation.telling import place_of

__all__ = [
    'TooLargeError',
    'check_by_building',
    'held_bytes',
    'model_builder',
    'part_builder',
    'weightless',
    'with_stock_network',
]

Build = Callable[[], Any]
# Its samples are never looked at.
_DATASET = (0,) * 8
_BYTES = 2 * 2**30


class TooLargeError(ConfigError):
    """What nobody has the memory for."""


@undisturbed()
def check_by_building(build: Build, explain: Callable[[], None], whole: Any = None) -> None:
    """Accept what can be built, and explain what cannot.

    Args:
        build: builds it as the host does.
        explain: raises a `ConfigError` with what is wrong, in the words of the config, or finds nothing.
        whole: the config of what is built, if `build` has all that the runner would give it, so that its own error
            is a fault even where nothing explains it.

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
    if whole is not None:
        place, _ = place_of(caught, whole)
        raise ConfigError(f'{place} cannot be built: {reason(caught)}') from caught


class _NumbersAtOnce(TorchFunctionMode):
    """Makes real numbers of what networks read while they are built: the rates of their dropped paths."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func is torch.linspace:
            given.setdefault('device', 'cpu')
        return func(*args, **given)


@contextmanager
def weightless() -> Iterator[None]:
    """What is built inside has no memory for its weights, as far as it lets itself be built so.

    Raises:
        TooLargeError: if it needs 2 GiB all the same.
    """
    with torch.device('meta'), _NumbersAtOnce(), _little_memory():
        yield


def model_builder(cfg: Mapping[str, Any], device: str = 'meta') -> Build:
    """Builds the model of a config, its local network as the stock one; on meta no weights are made."""

    def build() -> Any:
        with weightless() if device == 'meta' else torch.device(device):
            return kinds.MODELS.build(with_stock_network(cfg))

    return build


@contextmanager
def _little_memory() -> Iterator[None]:
    """Where no weights are made, what is built needs little memory: a number that is far too large ends here.

    Raises:
        TooLargeError: if it needs 2 GiB.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = held_bytes() + _BYTES
    if soft != resource.RLIM_INFINITY:
        most = min(soft, most)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    except MemoryError as error:
        raise TooLargeError(' cannot be built: without its weights it needs more than 2 GiB') from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def held_bytes() -> int:
    """What of this process's memory counts against `RLIMIT_DATA`; where that is not told, as good as no limit."""
    status = Path('/proc/self/status')
    lines = status.read_text(encoding='ascii').splitlines() if status.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith('VmData')), 2**60)


def with_stock_network(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The model of a config, its network as the host has it."""
    model = copy.deepcopy(dict(cfg['model']))
    found = find_backbone(cfg) or find_replaced(cfg)
    if found is not None:
        model[found[0].removeprefix('model.')] = stock_network(found[1])
    return model


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
