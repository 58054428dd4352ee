"""Moving the momentum copies."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmlocal.auxiliaries import CopyBridge, MomentumCopy
from mmlocal.blocks import LocalBackbone
from mmlocal.registry import HOOKS

__all__ = ['MomentumHook']


@HOOKS.register_module()
class MomentumHook(Hook):
    """Starts the momentum copies before training, and moves each once an optimizer step.

    Note:
        Copies start after weights were initialised or loaded, and never over a resumed state. They
        move right before the optimizer steps their own auxiliary: all at once under the `joint`
        policy, each at its block's step under `per_block`. The block whose unit is copied has not
        been stepped then, so a copy always moves towards the weights of this iteration's forward,
        and both policies train alike. A step that a loss scaler skips moves nothing.
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Start what has not been started, and listen to the optimizer."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for module in model.modules():
            if isinstance(module, (CopyBridge, MomentumCopy)):
                module.start()
        self._auxiliaries = [
            auxiliary
            for module in model.modules()
            if isinstance(module, LocalBackbone)
            for auxiliary in module.auxiliaries
        ]
        self._handle = runner.optim_wrapper.optimizer.register_step_pre_hook(lambda *_: self._move())

    def after_train(self, runner: Runner) -> None:
        """Let go of the optimizer."""
        self._handle.remove()

    def _move(self) -> None:
        """Move the copies of the auxiliaries that are about to be stepped: those with gradients."""
        for auxiliary in self._auxiliaries:
            if any(p.grad is not None for p in auxiliary.parameters()):
                for module in auxiliary.modules():
                    if isinstance(module, MomentumCopy):
                        module.move()

    def __getstate__(self) -> dict[str, Any]:
        """Without the handle, which refers to the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != '_handle'}
