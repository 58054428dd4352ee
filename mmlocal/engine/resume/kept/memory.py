"""Transforms that remember earlier samples."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mmlocal.randomness import seed_by_place, undisturbed

__all__ = ['remembering']

# Caches have to hold some images before they are used: four, where the hosts mix four.
_BEFORE = 6
_DEEP = 3


def remembering(dataset: Any) -> list[str]:
    """Types of the transforms whose samples depend on which ones were read before.

    A transform that has changed when it has seen a sample is put to the test: the first sample is read alone, and
    behind others, with equal draws. A cache of files changes too, but gives the same samples.

    Args:
        dataset: of training. It, and all random states, are afterwards as they were.
    """
    owners = [one for one in _inside(dataset) if _listed(getattr(one, 'pipeline', None))]
    if not owners or not hasattr(dataset, '__len__') or not len(dataset):
        return []
    with _pipelines_kept(owners):
        before = {id(one): _signature(vars(one)) for one in _transforms(owners)}
        alone = _read(dataset, 0)
        changed = [one for one in _transforms(owners) if _signature(vars(one)) != before[id(one)]]
    names = list(dict.fromkeys(type(one).__name__ for one in changed))
    if not names:
        return []
    with _pipelines_kept(owners):
        for i in range(1, min(_BEFORE + 1, len(dataset))):
            _read(dataset, i)
        behind = _read(dataset, 0)
    return [] if _alike(alone, behind) else names


def _inside(dataset: Any) -> Iterator[Any]:
    """A dataset and those that it wraps or joins."""
    yield dataset
    inner = [getattr(dataset, name, None) for name in ('dataset', '_dataset')]
    for one in [*inner, *(getattr(dataset, 'datasets', None) or [])]:
        if one is not None:
            yield from _inside(one)


def _listed(pipeline: Any) -> list[Any]:
    """The transforms of a pipeline; datasets that mix images have them as they are."""
    inner = getattr(pipeline, 'transforms', pipeline)
    return inner if isinstance(inner, list) else []


def _transforms(owners: list[Any]) -> list[Any]:
    return [one for owner in owners for one in _listed(owner.pipeline) if hasattr(one, '__dict__')]


@contextmanager
def _pipelines_kept(owners: list[Any]) -> Iterator[None]:
    """The pipelines are copies meanwhile, and nothing is drawn of the run."""
    pipelines = [one.pipeline for one in owners]
    with undisturbed():
        try:
            for one in owners:
                one.pipeline = copy.deepcopy(one.pipeline)
            yield
        finally:
            for one, pipeline in zip(owners, pipelines, strict=True):
                one.pipeline = pipeline


def _read(dataset: Any, index: int) -> Any:
    """The images of a sample, with the draws of its index; nothing of one that cannot be read, which training tells."""
    seed_by_place(index)
    try:
        sample = dataset[index]
    except Exception:  # transforms raise anything
        return None
    return sample.get('inputs') if isinstance(sample, Mapping) else sample


def _signature(value: Any, depth: int = 0) -> Any:
    """What tells whether an attribute has changed: sizes of containers, values, otherwise which object it is."""
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if depth < _DEEP and isinstance(value, Mapping):
        return [(key, _signature(one, depth + 1)) for key, one in value.items()]
    if depth < _DEEP and isinstance(value, (list, tuple)):
        return [_signature(one, depth + 1) for one in value]
    return type(value).__name__, len(value) if hasattr(value, '__len__') else id(value)


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.equal(a, b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_alike, a, b))
    return a is b
