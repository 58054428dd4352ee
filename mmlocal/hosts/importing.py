"""Hosts that a config asks for: are they there, and those that refuse a version of mmcv on which they run."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from mmlocal.errors import ConfigError
from mmlocal.hosts.base import HOSTS
from mmlocal.hosts.distributions import name_installed_distributions
from mmlocal.hosts.operations import COMPILE, has_operations

__all__ = ['import_host', 'import_hosts', 'import_named']

# Below the newest mmcv that those accept which refuse today's. They ask for it once, when they are imported.
_ACCEPTED_MMCV = '2.0.1'


def import_hosts(cfg: Mapping[str, Any]) -> None:
    """Look for the hosts that a config asks for, by its default scope or by a type's prefix.

    Raises:
        ConfigError: if one, or something that it imports, is not installed.
    """
    import_named(_scopes(dict(cfg.items())))


def import_named(packages: Iterable[str]) -> None:
    """Look for those hosts that are named, and import those that refuse today's mmcv.

    Raises:
        ConfigError: if one, or something that it imports, is not installed.
    """
    for name in sorted(set(packages) & set(HOSTS)):
        _check_installed(name)
        if HOSTS[name].refuses_mmcv:
            import_host(name)


def import_host(name: str) -> None:
    """Make a host ready for use outside of this project's tools, in a notebook, say: its configs and its modules.

    mmagic 1.2 and mmyolo 0.6 are imported on an mmcv that is newer than they accept: while the import runs, mmcv shows
    a version that they accept, and numpy has the name `bool8`, which its version 2 dropped.

    Args:
        name: of a host.

    Raises:
        ConfigError: if it, or something that it imports, is not installed.
    """
    name_installed_distributions()
    if name in sys.modules:
        return
    _check_installed(name)
    try:
        with _accepted_versions():
            importlib.import_module(f'{name}.utils')
    except ModuleNotFoundError as error:
        sys.modules.pop(name, None)
        raise ConfigError(
            f'the config needs {name}, which imports {error.name!r}, which is not installed: {HOSTS[name].install}'
        ) from error


def _check_installed(name: str) -> None:
    if name in sys.modules:
        return
    if importlib.util.find_spec(name) is None:
        raise ConfigError(f'the config needs {name}, which is not installed: {HOSTS[name].install}')
    if HOSTS[name].needs_operations and not has_operations():
        raise ConfigError(f'the config needs {name}, which needs the operations of mmcv. They are missing: {COMPILE}')


@contextmanager
def _accepted_versions() -> Iterator[None]:
    import mmcv
    import numpy as np

    with mock.patch.object(mmcv, '__version__', _ACCEPTED_MMCV), mock.patch.object(np, 'bool8', np.bool_, create=True):
        yield


def _scopes(config: Any) -> Iterator[str]:
    """Every scope that a config names."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            if isinstance(value, str) and key in ('default_scope', '_scope_'):
                yield value
            elif isinstance(value, str) and key in ('type', 'arch'):
                yield value.partition('.')[0]
            else:
                yield from _scopes(value)
    elif isinstance(config, (list, tuple)):
        for one in config:
            yield from _scopes(one)
