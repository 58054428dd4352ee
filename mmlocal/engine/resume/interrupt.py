"""Ctrl-C that ends a run where it can go on."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlocal.engine.resume.checkpoint_hook import SafeCheckpointHook
from mmlocal.registry import HOOKS

__all__ = ['InterruptHook']


@HOOKS.register_module()
class InterruptHook(Hook):
    """Writes a checkpoint when the iteration is over in which Ctrl-C was pressed, and ends the run.

    Within an iteration weights are half moved, so it is not ended there. A second Ctrl-C does end it at once, and so
    does one in a validation; the newest checkpoint stands then. In several processes the launcher ends them, as before.

    Note:
        `priority` is that of the checkpoints, which it follows: what other hooks count is in the checkpoint.

    Raises:
        KeyboardInterrupt: with the line that resumes the run.
    """

    priority = 'VERY_LOW'
    is_kept = False

    def __init__(self) -> None:
        self._asked = False
        self._before: Any = None

    def before_train(self, runner: Runner) -> None:
        """Take over Ctrl-C."""
        if get_world_size() > 1 or threading.current_thread() is not threading.main_thread():
            return
        process = os.getpid()

        def ask(*_: Any) -> None:
            if os.getpid() != process:  # a worker, which is forked with this handler
                return
            if self._asked or not runner.model.training:
                raise KeyboardInterrupt(_how_to_resume())
            self._asked = True
            runner.logger.warning('Ctrl-C: ends with a checkpoint behind this iteration; once more ends it at once')

        self._before = signal.signal(signal.SIGINT, ask)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """End the run if that was asked for."""
        if not self._asked:
            return
        for hook in runner.hooks:
            if isinstance(hook, SafeCheckpointHook):
                hook.save_within_epoch(runner)
        raise KeyboardInterrupt(_how_to_resume())

    def after_run(self, runner: Runner) -> None:
        """Give Ctrl-C back."""
        self.give_back()

    def give_back(self) -> None:
        """Let Ctrl-C do what it did before the training."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None


def _how_to_resume() -> str:
    """The command that was given, with `--resume`."""
    words = ['python', *sys.argv] if sys.argv[0].endswith('.py') else [os.path.basename(sys.argv[0]), *sys.argv[1:]]
    if '--resume' in words:
        at = words.index('--resume')
        has_value = at + 1 < len(words) and not words[at + 1].startswith('-')
        del words[at : at + 1 + has_value]
    return f'interrupted. This goes on: {shlex.join(words)} --resume'
