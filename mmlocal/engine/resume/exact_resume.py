"""Resuming at any iteration, to the bit.

mmengine neither keeps random states in its checkpoints nor resumes in the middle of an epoch. Here
nothing has to be kept: every random draw is made to depend on the run's seed and on where it is made
(which iteration, which epoch and sample), so a resumed run draws what the first one would have.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlocal.engine.resume.loops import LAST_VALIDATION
from mmlocal.registry import DATA_SAMPLERS, HOOKS, TRANSFORMS

__all__ = ['CountedSampler', 'ExactResumeHook', 'SeedSample']

# Shared with the data loader's workers, which live longer than an epoch: seed and epoch.
_RUN = torch.zeros(2, dtype=torch.int64).share_memory_()


def seed_all(*place: int) -> None:
    """Seed Python's, numpy's and torch's generators from where the run is."""
    digest = hashlib.blake2b(repr(place).encode(), digest_size=8).digest()
    seed = int.from_bytes(digest, 'little')
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed % 2**63)


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Seeds every iteration by seed, rank and iteration, and tells the data loader's workers the epoch.

    Note:
        A resumed run takes over the first one's seed, its sampler's too.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Give the sampler the seed of the run that is resumed."""
        sampler: Any = getattr(runner.train_dataloader, 'sampler', None)
        if runner._resume and hasattr(sampler, 'seed'):
            sampler.seed = runner.seed

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the workers."""
        _RUN[0], _RUN[1] = runner.seed, runner.epoch

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed this process for the iteration."""
        seed_all(runner.seed, get_rank(), runner.iter)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note for checkpoints that what was trained so far is validated."""
        runner.message_hub.update_info(LAST_VALIDATION, runner.iter)


class _Visit(int):
    """An index into a dataset that knows how often it was asked for before."""

    visit: int

    def __new__(cls, index: int, visit: int = 0) -> _Visit:
        made = super().__new__(cls, index)
        made.visit = visit
        return made


@DATA_SAMPLERS.register_module()
class CountedSampler(InfiniteSampler):
    """`InfiniteSampler` whose indices know in which pass over the dataset they are, also behind a skip."""

    def _infinite_indices(self) -> Iterator[int]:
        for place, index in enumerate(super()._infinite_indices()):
            yield _Visit(index, place // self.size)


@TRANSFORMS.register_module()
class SeedSample:
    """First transform of a training pipeline: seeds what follows by seed, epoch, sample, and its visit in the epoch.

    A repeated dataset, or a loop by iterations, for which a whole training is one epoch, asks for a sample
    again and again: each visit draws anew.

    Args:
        stream: tells datasets apart that are joined to one.

    Note:
        Visits are told by the index (`CountedSampler`), or counted in each worker. A resumed epoch hands the
        batches that it passes over to the same workers again, so the counts are those of the first run.
    """

    def __init__(self, stream: int = 0) -> None:
        self._stream = [stream] if stream else []
        self._visits: Counter[int] = Counter()
        self._run: list[int] = []

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return `results` as they are."""
        run, sample = _RUN.tolist(), results.get('sample_idx', 0)
        if run != self._run:
            self._run = run
            self._visits.clear()
        visit = getattr(sample, 'visit', self._visits[sample])
        seed_all(*run, int(sample), visit, *self._stream)
        self._visits[sample] += 1
        return results
