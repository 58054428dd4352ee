"""Files of datasets that a config names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from mmlocal.errors import ConfigError

__all__ = ['check_datasets', 'loaders_of']

_MINI_CONFIG = 'configs/man/faster_rcnn_r18_man_mini-coco.py'
_MINI_TOOL = 'tools/dataset_converters/make_mini_dataset.py'
_MINI = 'mini-'


def check_datasets(cfg: Mapping[str, Any], splits: tuple[str, ...]) -> None:
    """Look whether the datasets of `splits`, and what their evaluators read, are there.

    Raises:
        ConfigError: with every file and folder that is not, each once: one root that is missing as a
            whole is one fault.
    """
    missing: dict[str, str] = {}
    for split in splits:
        loaders = [_files(loader.get('dataset'), f'{place}.dataset') for place, loader in loaders_of(cfg, split)]
        for place, path in chain(*loaders, _files(cfg.get(f'{split}_evaluator'), f'{split}_evaluator')):
            if '://' not in path and not os.path.exists(path) and not _inside(path, missing):
                missing[path] = f'{place} = {path!r} does not exist (looked for {os.path.abspath(path)}). '
    if missing:
        raise ConfigError(*(sentence + _how_to_get(path) for path, sentence in missing.items()))


def loaders_of(cfg: Mapping[str, Any], split: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Place and config of the data loaders of a split; a model of restoration may be tested on several."""
    loaders = cfg.get(f'{split}_dataloader')
    if isinstance(loaders, Mapping):
        yield f'{split}_dataloader', loaders
    for i, loader in enumerate(loaders if isinstance(loaders, (list, tuple)) else ()):
        yield f'{split}_dataloader[{i}]', loader


def _inside(path: str, folders: Mapping[str, str]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _files(config: Any, place: str) -> Iterator[tuple[str, str]]:
    """Place and path of all that is read, inside wrappers and concatenations too; a root before its files."""
    if isinstance(config, (list, tuple)):
        for i, one in enumerate(config):
            yield from _files(one, f'{place}[{i}]')
    if not isinstance(config, Mapping):
        return
    for inner in ('dataset', 'datasets'):
        if inner in config:
            yield from _files(config[inner], f'{place}.{inner}')
    root, prefixes = config.get('data_root') or '', config.get('data_prefix')
    below = {'ann_file': config.get('ann_file'), 'data_prefix': prefixes}
    if isinstance(prefixes, Mapping):
        below |= {f'data_prefix.{name}': prefix for name, prefix in prefixes.items()}
    read = {name: path for name, path in below.items() if isinstance(path, str) and path}
    # A root that nothing is read below may be one that the dataset makes itself.
    if root and any(not os.path.isabs(path) and '://' not in path for path in read.values()):
        yield f'{place}.data_root', root
    for name, path in read.items():
        yield f'{place}.{name}', os.path.join(root, path)


def _how_to_get(path: str) -> str:
    parts = Path(path).parts
    for i, part in enumerate(parts):
        if part.startswith(_MINI):
            folder = Path(*parts[: i + 1])
            return f'Make it in seconds: python {_MINI_TOOL} {part.removeprefix(_MINI)} --out {folder}'
    return f'docs/datasets.md says where to get it and how to lay it out; {_MINI_CONFIG} runs without it'
