"""What has to be the same in all processes of a run: config, code, seed, data."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import Runner

import mmlocal
from mmlocal.config import keys_read
from mmlocal.engine.distributed.ranks import current_ranks
from mmlocal.engine.resume.run_state import versions
from mmlocal.hosts import base_datasets_of

__all__ = ['compare_data', 'compare_settings']

# Where a machine writes to, and how it loads: other values train the same. Paths are compared from their roots on.
_OF_MACHINE = ('out_dir', 'save_dir', 'num_workers', 'persistent_workers', 'prefetch_factor', 'pin_memory')
_ROOTS = ('data_root', 'work_dir')
_RECORDS = 100


def compare_settings(cfg: Config, splits: Iterable[str]) -> None:
    """Refuse a run whose processes have been given different configs or run different code. One process pays nothing.

    Compared is what a runner reads of the completed config, less what belongs to a machine: folders that are
    written to, workers of data loaders, and where a `data_root` is (paths are compared from there on).

    Args:
        cfg: the completed config.
        splits: `train`, `val`, `test`: those that will be used.

    Raises:
        ConfigError: in every process, with what differs, the values and the ranks.
    """
    ranks = current_ranks()
    if ranks is None:
        return
    ranks.timeout = float(((cfg.get('env_cfg') or {}).get('dist_cfg') or {}).get('timeout') or ranks.timeout)
    texts = _of_config(cfg.to_dict(), splits)
    ranks.compare('config', _of_code() | _without_roots(texts), texts)


def compare_data(runner: Runner, loaders: Iterable[tuple[str, Any]]) -> None:
    """Refuse a run whose processes have different data or another seed. One process pays nothing.

    Args:
        runner: built.
        loaders: data loaders, each with its place in the config.

    Raises:
        ConfigError: in every process, with what differs, the values and the ranks.
    """
    ranks = current_ranks()
    if ranks is None:
        return
    seed = {} if (runner.cfg.get('randomness') or {}).get('diff_rank_seed') else {'seed': str(runner.seed)}
    entries = [seed] + [_of_loader(place, loader) for place, loader in loaders]
    ranks.compare('data', {name: value for one in entries for name, value in one.items()})


def _of_code() -> dict[str, str]:
    root, sources = Path(mmlocal.__file__).parent, hashlib.blake2b(digest_size=8)
    for path in sorted(root.rglob('*.py')):
        sources.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    packages = {f'version of {name}': version for name, version in versions().items()}
    of_machine = {'version of Python': platform.python_version(), 'device': get_device()}
    return packages | of_machine | {'digest of the source files of mmlocal': sources.hexdigest()}


def _of_config(cfg: Mapping[str, Any], splits: Iterable[str]) -> dict[str, str]:
    """Texts of all values that a runner reads for `splits`, by their places."""
    read = keys_read()
    unused = tuple(f'{split}_' for split in {'train', 'val', 'test'}.difference(splits))
    return dict(_flat({name: value for name, value in cfg.items() if name in read and not name.startswith(unused)}, ''))


def _flat(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            if name not in _OF_MACHINE:
                yield from _flat(inner, f'{place}.{name}' if place else str(name))
    elif isinstance(value, (list, tuple)) and any(isinstance(inner, (Mapping, list, tuple)) for inner in value):
        for i, inner in enumerate(value):
            yield from _flat(inner, f'{place}[{i}]')
    else:
        yield place, _text(value)


def _text(value: Any) -> str:
    """A value in words that are the same in another process; of a long list its length, too."""
    if isinstance(value, np.ndarray):
        return f'{value.dtype}{value.shape} {hashlib.blake2b(value.tobytes(), digest_size=8).hexdigest()}'
    if isinstance(value, Mapping):
        return f'{{{", ".join(f"{name!r}: {_text(inner)}" for name, inner in value.items())}}}'
    if isinstance(value, (list, tuple)):
        count = f'{len(value)} values: ' if len(value) > 10 else ''
        return f'{count}[{", ".join(map(_text, value))}]'
    if isinstance(value, (bool, bytes, complex, float, int, str, np.generic, type(None))):
        return repr(value)
    # The text of others may hold an address.
    return f'{getattr(value, "__module__", "")}.{getattr(value, "__qualname__", type(value).__name__)}'


def _without_roots(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts whose paths begin at the folders that are named as roots: the first, the second, …"""
    paths = [text.strip("'").rstrip('/') for place, text in texts.items() if place.rpartition('.')[2] in _ROOTS]
    roots = {path: f'<root {i}>' for i, path in enumerate(dict.fromkeys(paths)) if path and path != 'None'}
    return {place: _without(roots, text) for place, text in texts.items()}


def _without(roots: Mapping[str, str], text: str) -> str:
    """A text whose paths begin at their roots; of roots inside each other at the inner one."""
    for root in sorted(roots, key=len, reverse=True):
        for end, told in (("/'", "'"), ('/', '/'), ("'", "'")):
            text = text.replace(f"'{root}{end}", f"'{roots[root]}{told}")
    return text


def _of_loader(place: str, loader: Any) -> dict[str, str]:
    entries = {}
    for name, sized in ((place, loader), (f'{place}.dataset', loader.dataset)):
        if hasattr(sized, '__len__'):
            try:
                entries[f'len({name})'] = str(len(sized))
            except TypeError:  # of a loader without an end
                continue
    for leaf, where in base_datasets_of(loader.dataset, f'{place}.dataset'):
        entries[f'{where}.metainfo.classes'] = _text((getattr(leaf, 'metainfo', None) or {}).get('classes'))
        entries[f'{where} (digest of up to {_RECORDS} records: files, annotations)'] = _records(leaf)
    return entries


def _records(dataset: Any) -> str:
    """A digest of some of the records of a dataset, spread over it."""
    digest, size = hashlib.blake2b(digest_size=8), len(dataset)
    root = str(getattr(dataset, 'data_root', None) or '').rstrip('/')
    roots = {root: '<data_root>'} if root else {}
    for i in range(0, size, -(-size // _RECORDS)) if size else ():
        digest.update(_without(roots, _text(dataset.get_data_info(i))).encode())
    return digest.hexdigest()
