"""Moving the momentum copies."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmlocal.auxiliaries import MomentumBridge, MomentumCopy
from mmlocal.registry import HOOKS

__all__ = ['MomentumHook']


@HOOKS.register_module()
class MomentumHook(Hook):
    """Starts the momentum copies before training, and moves each once an optimizer step.

    Note:
        Copies start after weights were initialised or loaded, and never over a resumed state. They
        move before the optimizer does, so from the weights that this iteration's forward used;
        under the `per_block` policy that is before the iteration's first step. A step that a loss
        scaler skips moves nothing.
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Start what has not been started, and listen to the optimizer."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for module in model.modules():
            if isinstance(module, MomentumBridge):
                module.start()
        self._copies = [module for module in model.modules() if isinstance(module, MomentumCopy)]
        self._moved_at = -1
        self._handle = runner.optim_wrapper.optimizer.register_step_pre_hook(
            lambda *_: self._move(runner.iter)
        )

    def after_train(self, runner: Runner) -> None:
        """Let go of the optimizer."""
        self._handle.remove()

    def _move(self, iteration: int) -> None:
        if iteration == self._moved_at:
            return
        self._moved_at = iteration
        for copy in self._copies:
            copy.move()

    def __getstate__(self) -> dict[str, Any]:
        """Without the handle, which refers to the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != '_handle'}
