"""Hosts that refuse a version of mmcv on which they run."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from mmlocal.errors import ConfigError

__all__ = ['import_host', 'import_hosts', 'import_named']

# Below the newest mmcv that both accept. Both ask for it once, when they are imported.
_ACCEPTED_MMCV = '2.0.1'
_INSTALL = {
    'mmagic': 'pip install --no-deps mmagic==1.2.0, then pip install -r requirements/mmagic.txt',
    'mmyolo': 'pip install --no-deps mmyolo==0.6.0',
}


def import_hosts(cfg: Mapping[str, Any]) -> None:
    """Import those of mmagic and mmyolo that a config asks for, by its default scope or by a type's prefix.

    Raises:
        ConfigError: if one, or something that it imports, is not installed.
    """
    import_named(_scopes(dict(cfg.items())))


def import_named(packages: Iterable[str]) -> None:
    """Import those of mmagic and mmyolo that are named.

    Raises:
        ConfigError: if one, or something that it imports, is not installed.
    """
    for name in sorted(set(packages) & set(_INSTALL)):
        import_host(name)


def import_host(name: str) -> None:
    """Import mmagic 1.2 or mmyolo 0.6 on an mmcv that is newer than they accept.

    While the import runs, mmcv shows a version that they accept, and numpy has the name `bool8`, which
    version 2 dropped. Afterwards both are as they were.

    Args:
        name: `mmagic` or `mmyolo`.

    Raises:
        ConfigError: if it, or something that it imports, is not installed.
    """
    if name in sys.modules:
        return
    if importlib.util.find_spec(name) is None:
        raise ConfigError(f'the config needs {name}, which is not installed: {_INSTALL[name]}')
    try:
        with _accepted_versions():
            importlib.import_module(f'{name}.utils')
    except ModuleNotFoundError as error:
        sys.modules.pop(name, None)
        raise ConfigError(
            f'the config needs {name}, which imports {error.name!r}, which is not installed: {_INSTALL[name]}'
        ) from error


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
