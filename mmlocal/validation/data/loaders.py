"""Settings of a data loader that do not go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmlocal.errors import ConfigError
from mmlocal.validation.data.files import loaders_of

__all__ = ['check_loaders']

# Of no use without workers, and refused by torch.
_OF_WORKERS = ('persistent_workers', 'prefetch_factor', 'multiprocessing_context')


def check_loaders(cfg: Mapping[str, Any], splits: Iterable[str]) -> None:
    """Look for what is set for workers where there are none.

    Raises:
        ConfigError: with each such setting.
    """
    faults = [
        f'{place}.{name} = {loader[name]!r} needs num_workers above 0, and it is 0. Set {place}.{name} = '
        f'{False if loader[name] is True else None}, or num_workers = 1'
        for split in splits
        for place, loader in loaders_of(cfg, split)
        for name in _OF_WORKERS
        if loader.get(name) and loader.get('num_workers', 0) == 0
    ]
    if faults:
        raise ConfigError(*faults)
