"""Resuming at any iteration, to the bit.

mmengine neither keeps random states in its checkpoints nor resumes in the middle of an epoch. Here
nothing has to be kept: every random draw is made to depend on the run's seed and on where it is made
(which iteration, which epoch and sample), so a resumed run draws what the first one would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlocal.engine.resume.loops import LAST_VALIDATION
from mmlocal.engine.seeded_batches import SeededBatches, VisitedIndex, seed_batches, unseeded
from mmlocal.randomness import seed_by_place
from mmlocal.registry import DATA_SAMPLERS, HOOKS

__all__ = ['CountedSampler', 'ExactResumeHook']


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Seeds every iteration by seed, rank and iteration, and every sample by its place in the run.

    Note:
        A resumed run takes over the first one's seed, its sampler's too.
    """

    priority = 'VERY_HIGH'
    # What it counts, a resumed run counts again.
    is_kept = False
    _batches: SeededBatches | None = None

    def before_train(self, runner: Runner) -> None:
        """Give the sampler the seed of the run that is resumed, and the batches their places."""
        loader = runner.train_dataloader
        # Of a batch sampler that was configured, the loader does not know the sampler.
        samplers: list[Any] = [loader.sampler, getattr(loader.batch_sampler, 'sampler', None)]
        for sampler in samplers:
            if runner._resume and hasattr(sampler, 'seed'):
                sampler.seed = runner.seed
        self._batches = seed_batches(loader, runner.seed, get_rank())
        if self._batches is None:
            runner.logger.warning(
                f'train_dataloader: {unseeded(loader)}: what its samples draw depends on its workers, as in mmengine; '
                'a run that is resumed does not draw what the first one would have'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the batches."""
        if self._batches is not None:
            self._batches.begin(runner.epoch)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed this process for the iteration."""
        seed_by_place(runner.seed, get_rank(), runner.iter)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note for checkpoints that what was trained so far is validated."""
        runner.message_hub.update_info(LAST_VALIDATION, runner.iter)


@DATA_SAMPLERS.register_module()
class CountedSampler(InfiniteSampler):
    """`InfiniteSampler` whose indices know in which pass over the dataset they are, also behind a skip."""

    def _infinite_indices(self) -> Iterator[int]:
        for place, index in enumerate(super()._infinite_indices()):
            yield VisitedIndex(index, place // self.size)
