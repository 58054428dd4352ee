"""What runs gave, in a JSON file that grows, under keys that change with every setting."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmlocal.errors import ConfigError, reason
from mmlocal.version import __version__

__all__ = ['Records', 'key_of']

_PLACES = ('work_dir', 'data_root', 'num_workers', 'persistent_workers', 'pin_memory', 'launcher', 'log_level')
"""Settings that say where and with how many helpers something is read or written: the numbers do not depend on them."""


def key_of(cfg: Config, version: str = __version__, device: str = 'cpu') -> str:
    """Sixteen hexadecimal digits of everything that a run's numbers depend on: config with seed, library, device.

    Args:
        cfg: completed, with the seed in `randomness`.
        version: of mmlocal.
        device: `cpu` or `cuda`.
    """
    content = dict(config=_settings(cfg.to_dict()), version=version, device=device)
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _settings(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {str(key): _settings(value) for key, value in config.items() if key not in _PLACES}
    if isinstance(config, (list, tuple)):
        return [_settings(value) for value in config]
    return config


class Records:
    """Named tables of entries by key, in one file; several processes may add to it at the same time.

    Args:
        path: of the file; one that is not there is empty.

    Raises:
        ConfigError: when read, if the file is no JSON object.

    Example:
        >>> import tempfile
        >>> records = Records(Path(tempfile.mkdtemp()) / 'accuracy.json')
        >>> records.add('runs', 'key', dict(error=7.5))
        >>> records.table('runs')
        {'key': {'error': 7.5}}
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def table(self, name: str) -> dict[str, Any]:
        """Entries by key, as the file has them now."""
        return dict(self._read().get(name, {}))

    def add(self, name: str, key: str, entry: Mapping[str, Any]) -> None:
        """Add an entry, or replace the one with this key; the file is the old one or the new one at any time."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self.path.parent):
            content = self._read()
            content.setdefault(name, {})[key] = dict(entry)
            beside = self.path.with_suffix('.tmp')
            beside.write_text(json.dumps(content, indent=1, sort_keys=True) + '\n')
            os.replace(beside, self.path)

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            content = json.loads(self.path.read_text())
        except ValueError as error:
            raise ConfigError(f'{str(self.path)!r} cannot be read: {reason(error)}. Restore it with git') from error
        if not isinstance(content, dict):
            raise ConfigError(f'{str(self.path)!r} holds no JSON object. Restore it with git')
        return content


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone with a folder, among processes that ask for it in this way."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
