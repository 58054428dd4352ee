"""Resuming at any iteration, to the bit.

mmengine neither keeps random states in its checkpoints nor resumes in the middle of an epoch. Here
nothing has to be kept: every random draw is made to depend on the run's seed and on where it is made
(which iteration, which epoch and sample), so a resumed run draws what the first one would have.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from mmlocal.errors import ConfigError
from mmlocal.registry import HOOKS, LOOPS, TRANSFORMS

__all__ = ['ExactResumeHook', 'ResumableEpochLoop', 'SeedSample']

# Shared with the data loader's workers, which live longer than an epoch: seed and epoch.
_RUN = torch.zeros(2, dtype=torch.int64).share_memory_()
_VALIDATED = 'last_validation'  # not val…: mmengine would log it


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
        runner.message_hub.update_info(_VALIDATED, runner.iter)


@TRANSFORMS.register_module()
class SeedSample:
    """First transform of a training pipeline: seeds what follows by seed, epoch, sample, and its visit in the epoch.

    A repeated dataset, or a loop by iterations, for which a whole training is one epoch, asks for a sample
    again and again: each visit draws anew.

    Note:
        Visits are counted in each worker. A resumed run hands the batches that it passes over to the same
        workers again, so the counts are those of the first run.
    """

    def __init__(self) -> None:
        self._visits: Counter[int] = Counter()
        self._run: list[int] = []

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return `results` as they are."""
        run, sample = _RUN.tolist(), results.get('sample_idx', 0)
        if run != self._run:
            self._run = run
            self._visits.clear()
        seed_all(*run, sample, self._visits[sample])
        self._visits[sample] += 1
        return results


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """`EpochBasedTrainLoop` that goes on within an epoch where a checkpoint was made there.

    Note:
        A checkpoint is made before the validation of its epoch. A run that was killed in between validates
        when it goes on.
    """

    def run(self) -> nn.Module:
        """Train what is left of all epochs, and validate in between."""
        self.runner.call_hook('before_train')
        validated = self.runner.message_hub.runtime_info.get(_VALIDATED)
        if self.runner._resume and self.iter == self.epoch * len(self.dataloader) and self.iter != validated:
            self._validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _validate(self) -> None:
        """Validate if it is time."""
        self._decide_current_val_interval()
        loop, last = self.runner.val_loop, self._epoch == self._max_epochs
        if loop and self._epoch >= max(1, self.val_begin) and (self._epoch % self.val_interval == 0 or last):
            loop.run()

    def run_epoch(self) -> None:
        """Run the rest of the epoch; what a resumed run has had of it is loaded and passed over."""
        done = self.iter - self.epoch * len(self.dataloader)
        if not 0 <= done <= len(self.dataloader):
            raise ConfigError(
                f'resume: iteration {self.iter} does not lie in epoch {self.epoch + 1} of {len(self.dataloader)} '
                'iterations each: the batch size, the dataset or the number of processes has changed'
            )
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for idx, data_batch in islice(enumerate(self.dataloader), done, None):
            self.run_iter(idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
