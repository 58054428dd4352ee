"""What can be said about a dataset once it is built: its classes, its files, a few samples."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import mmengine
import numpy as np
import torch
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmlocal.config.data.building import annotation_fault, explain
from mmlocal.config.data.samples import DataError, leaves_of, name_samples, paths_of, read_keys
from mmlocal.config.data.targets import Targets, targets_of
from mmlocal.errors import ConfigError, Faults, nearest, reason

__all__ = ['check_dataset', 'check_loops', 'loaders_of', 'read_samples', 'spread']

# A run looks whether so many of its files are there, spread over the dataset: within a second.
_LOOKED_AT = 1000
# An annotation file below this is read a second time for the names of its categories.
_READ_TWICE_BYTES = 32 * 2**20
_SHOWN = 5


def loaders_of(cfg: Mapping[str, Any], split: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Place and config of the data loaders of a split; hosts of restoration have several for a test."""
    loaders = cfg.get(f'{split}_dataloader')
    if isinstance(loaders, Mapping):
        yield f'{split}_dataloader', loaders
    for i, loader in enumerate(loaders if isinstance(loaders, (list, tuple)) else ()):
        yield f'{split}_dataloader[{i}]', loader


def check_loops(runner: Runner, splits: Iterable[str]) -> None:
    """Build the loops of a runner, and look at their data.

    The runner keeps the loops, so that every dataset is built once, as in a run without this. From
    here on a sample that cannot be read raises a `DataError`.

    Raises:
        ConfigError: with all that was found.
    """
    faults, targets = Faults(), targets_of(runner.cfg)
    for split in splits:
        with faults.under():
            for place, loader in _loaders(runner, split):
                with faults.under():
                    check_dataset(loader.dataset, f'{place}.dataset', targets, labelled=split == 'train')
                if split == 'train' and not len(loader) and isinstance(runner.train_loop, EpochBasedTrainLoop):
                    faults.found.append(f'{place} gives no batch: {len(loader.dataset)} images are less than one')
    faults.report()


def _loaders(runner: Runner, split: str) -> list[tuple[str, Any]]:
    """Place and data loader of what the loop of a split reads, none where the runner has no such loop."""
    configs = list(loaders_of(runner.cfg, split))
    try:
        loop = getattr(runner, f'{split}_loop')
    except ConfigError:
        raise
    except Exception:  # what a dataset, an evaluator or a sampler cannot be built with
        _explain_loop(runner.cfg, split, configs)
        raise
    if loop is None:
        return []
    loaders = getattr(loop, 'dataloaders', None) or [loop.dataloader]
    return [(place, loader) for (place, _), loader in zip(configs, loaders, strict=True)]


def _explain_loop(cfg: Mapping[str, Any], split: str, configs: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    faults = Faults()
    for place, config in configs:
        with faults.under():
            explain(config.get('dataset'), f'{place}.dataset')
    faults.report()
    evaluators = cfg.get(f'{split}_evaluator')
    for one in evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]:
        path = one.get('ann_file') if isinstance(one, Mapping) else None
        fault = annotation_fault(path or '')
        if fault:
            raise ConfigError(f'{split}_evaluator.ann_file = {path!r} {fault}')


def check_dataset(
    dataset: Any, place: str, targets: Targets, labelled: bool = False, indices: Sequence[int] | None = None
) -> None:
    """Look at classes, files and samples of a dataset; afterwards its samples raise a `DataError` by themselves.

    Args:
        dataset: built, with whatever wrappers.
        place: where it is in the config.
        targets: what the model is made for.
        labelled: whether it has to have objects, as one to train on.
        indices: samples to read; without, the first, the middle and the last, and only some of the
            files are looked for.

    Raises:
        ConfigError: with all that was found.
    """
    faults, thorough = Faults(), indices is not None
    for leaf, where in leaves_of(dataset, place):
        with faults.under(where):
            _check_categories(leaf, thorough)
        with faults.under(where):
            _check_files(leaf, None if thorough else _LOOKED_AT)
        if labelled:
            with faults.under(where):
                _check_objects(leaf)
    missing = bool(faults.found)
    with faults.under():
        _check_classes(dataset, place, targets)
    name_samples(dataset, place, targets if not faults.found else Targets())
    if not missing:
        read = indices if indices is not None else sorted({0, len(dataset) // 2, len(dataset) - 1})
        with faults.under():
            read_samples(dataset, place, read)
    name_samples(dataset, place, targets)
    faults.report()
