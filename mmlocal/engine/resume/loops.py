"""Loops that go on where a checkpoint was made, a validation that it was too early for included."""

from __future__ import annotations

from itertools import islice
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn

from mmlocal.engine.resume.kept import begin_epoch
from mmlocal.errors import ConfigError
from mmlocal.registry import LOOPS

__all__ = ['LAST_VALIDATION', 'ResumableEpochLoop', 'ResumableIterLoop']

# In the message hub, and so in checkpoints: the iteration. Not val…: mmengine would log it.
LAST_VALIDATION = 'last_validation'


def _is_made_up(loop: Any) -> bool:
    """Whether a resumed run has all that was validated before its checkpoint's iteration."""
    return not loop.runner._resume or loop.iter == loop.runner.message_hub.runtime_info.get(LAST_VALIDATION)


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """`EpochBasedTrainLoop` that goes on within an epoch where a checkpoint was made there.

    Note:
        A checkpoint is made before the validation of its epoch. A run that was killed in between validates
        when it goes on.
    """

    begins_epochs = True

    def run(self) -> nn.Module:
        """Train what is left of all epochs, and validate in between."""
        self.runner.call_hook('before_train')
        if self.iter == self.epoch * len(self.dataloader) and not _is_made_up(self):
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
        begin_epoch(self.runner)
        self.runner.model.train()
        for idx, data_batch in islice(enumerate(self.dataloader), done, None):
            self.run_iter(idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """`IterBasedTrainLoop` that makes up for a validation; what was trained before is skipped by the sampler."""

    begins_epochs = True

    def run(self) -> nn.Module:
        """Train what is left of all iterations, and validate in between."""
        self.runner.call_hook('before_train')
        begin_epoch(self.runner)
        if not _is_made_up(self):
            self._validate()
        if not self.fast_forward_on_resume:  # mmengine's name for leaving it out
            self.dataloader_iterator.skip_iter(self._iter)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._validate()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _validate(self) -> None:
        """Validate if it is time."""
        self._decide_current_val_interval()
        loop, last = self.runner.val_loop, self._iter == self._max_iters
        if loop and self._iter >= max(1, self.val_begin) and (self._iter % self.val_interval == 0 or last):
            loop.run()
