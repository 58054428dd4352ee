"""What a run does for the first time, training, validating, saving: what fails there is a fault of its config."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlocal.errors import ConfigError, NonFiniteLossError, is_of_disk, root_of
from mmlocal.validation.rehearsal import rehearse_validation
from mmlocal.validation.telling import make_room, sentence_of

__all__ = ['FirstTimes']


class FirstTimes(Hook):
    """Notes when an epoch has ended, and a validation, if there is one.

    From then on an error is no fault of the config.
    """

    priority = 'LOWEST'
    # Nothing of it is for a checkpoint.
    is_kept = False

    def __init__(self) -> None:
        self._has_trained = self._has_validated = False

    def before_train(self, runner: Runner) -> None:
        rehearse_validation(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        self._has_trained = True

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        # Loops by iterations end their epoch when they end.
        self._has_validated = self._has_trained = True

    @contextmanager
    def telling(self, runner: Runner) -> Iterator[None]:
        """Tell what is raised inside as a fault of the config, while something is done for the first time.

        Raises:
            ConfigError: with the place in the config, as far as it is known, and what was being done.
        """
        try:
            yield
        except (ConfigError, NonFiniteLossError):
            raise
        except Exception as error:  # hosts may raise anything
            make_room(error)
            validates = getattr(runner, '_val_loop', None) is not None
            if is_of_disk(error) or (self._has_trained and (self._has_validated or not validates)):
                raise
            raise ConfigError(sentence_of(error, runner.cfg, _doing(error, runner), runner.model)) from error


def _doing(error: BaseException, runner: Runner) -> str:
    """What was being done, by what ran."""
    tracebacks = (error.__traceback__, root_of(error).__traceback__)
    frames = [frame for one in tracebacks for frame, _ in traceback.walk_tb(one)]
    owners, names = [frame.f_locals.get('self') for frame in frames], [frame.f_code.co_name for frame in frames]
    loop = getattr(runner, '_train_loop', None)
    if 'val_step' in names or any(one is runner.__dict__.get('_val_loop') for one in owners if one is not None):
        return 'the first validation fails'
    if 'run_iter' in names:
        return f'iteration {getattr(loop, "iter", 0) + 1} fails'
    return 'training cannot start' if not getattr(loop, 'iter', 0) else 'training cannot go on'
