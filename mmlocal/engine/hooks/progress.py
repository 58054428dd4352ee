"""A bar with the time left, where a person looks on."""

from __future__ import annotations

import atexit
import logging
import sys
import time
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mmlocal.registry import HOOKS

__all__ = ['ProgressHook']

_SECONDS_BETWEEN = 0.25


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows iterations, epoch, loss and time left in a terminal, below the lines of the log.

    Nothing is shown where the output is no terminal (a file, a pipe, CI), and by other processes than the
    first. While the bar stands, log lines are written above it; nothing else about them changes.

    Note:
        No thread draws the bar: data loaders fork, and a worker must not inherit a lock that a thread holds.
    """

    priority = 'VERY_LOW'
    # Nothing of it is for a checkpoint.
    is_kept = False

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._moved: list[tuple[logging.StreamHandler[Any], Any]] = []

    def before_train(self, runner: Runner) -> None:
        """Draw the bar, at the iteration that is resumed."""
        if not is_main_process() or not sys.stdout.isatty():
            return
        told = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TextColumn('{task.fields[loss]}'))
        times = (TimeElapsedColumn(), TextColumn('left'), TimeRemainingColumn())
        terminals = (sys.stdout, sys.__stdout__)
        self._progress = Progress(
            *told,
            *times,
            console=Console(file=sys.stdout),
            auto_refresh=False,
            transient=True,
            # What goes to a file is not for the terminal.
            redirect_stderr=sys.stderr.isatty(),
        )
        self._progress.start()
        # They hold the stream itself, which the bar knows nothing of.
        for handler in runner.logger.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in terminals:
                self._moved.append((handler, handler.setStream(sys.stdout)))
        # A run that fails does not come to its end, and the terminal has no cursor.
        atexit.register(self._stop)
        bar = dict(completed=runner.iter, total=runner.max_iters, loss='')
        self._training = self._progress.add_task(self._where(runner), **bar)
        self._drawn = 0.0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Move on; the loss is read off its device only when the bar is drawn."""
        if self._progress is None or not self._is_due(runner.iter + 1 == runner.max_iters):
            return
        loss = (outputs or {}).get('loss')
        told: dict[str, Any] = {} if loss is None else dict(loss=f'loss {float(loss):.4g}')
        where = self._where(runner)
        self._progress.update(self._training, description=where, completed=runner.iter + 1, refresh=True, **told)

    def before_val_epoch(self, runner: Runner) -> None:
        """Say that the model is validated."""
        if self._progress is not None:
            self._progress.update(self._training, description='validation', refresh=True)

    def after_train(self, runner: Runner) -> None:
        """Take the bar away."""
        self._stop()

    def _is_due(self, last: bool) -> bool:
        now = time.monotonic()
        if not last and now - self._drawn < _SECONDS_BETWEEN:
            return False
        self._drawn = now
        return True

    def _where(self, runner: Runner) -> str:
        # A loop over iterations calls them one epoch.
        return f'epoch {runner.epoch + 1}/{runner.max_epochs}' if runner.max_epochs > 1 else 'training'

    def _stop(self) -> None:
        atexit.unregister(self._stop)
        if self._progress is None:
            return
        self._progress.stop()
        self._progress = None
        for handler, stream in self._moved:
            handler.setStream(stream)
        self._moved.clear()
