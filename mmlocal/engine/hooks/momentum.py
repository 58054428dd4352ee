"""Moving the momentum copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

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
        and both policies train alike. A copy in the model itself moves when its source is stepped. A step that
        a loss scaler skips moves nothing.
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
            for auxiliary in module.local_division.auxiliaries
        ]
        of_auxiliaries = {id(copy) for auxiliary in self._auxiliaries for copy in auxiliary.modules()}
        self._own = [copy for copy in _outermost(model) if id(copy) not in of_auxiliaries]
        self._handle = runner.optim_wrapper.optimizer.register_step_pre_hook(lambda *_: self._move())

    def after_train(self, runner: Runner) -> None:
        """Let go of the optimizer."""
        self._handle.remove()

    def _move(self) -> None:
        """Move the copies of what is about to be stepped: auxiliaries and, outside of these, sources with gradients."""
        for auxiliary in self._auxiliaries:
            if _has_gradients(auxiliary):
                for copy in _outermost(auxiliary):
                    copy.move()
        for copy in self._own:
            if _has_gradients(copy.source):
                copy.move()

    def __getstate__(self) -> dict[str, Any]:
        """Without the handle, which refers to the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != '_handle'}


def _has_gradients(module: nn.Module) -> bool:
    return any(p.grad is not None for p in module.parameters())


def _outermost(module: nn.Module) -> Iterator[MomentumCopy]:
    """The copies in a module; what a copy holds of further copies follows with the rest of its weights."""
    for child in module.children():
        if isinstance(child, MomentumCopy):
            yield child
        else:
            yield from _outermost(child)
