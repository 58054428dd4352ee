"""Optimizer wrappers that let every block propagate its own loss inside the forward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from mmlocal.blocks import LocalStep
from mmlocal.engine.split_end import SplitEnd
from mmlocal.errors import ConfigError
from mmlocal.registry import OPTIM_WRAPPERS

__all__ = ['BlockwiseAmpOptimWrapper', 'BlockwiseOptimWrapper']

_POLICIES = ('auto', 'joint', 'per_block')


@OPTIM_WRAPPERS.register_module()
class BlockwiseOptimWrapper(OptimWrapper):
    """An `OptimWrapper` for models with a `LocalBackbone`; any other model trains as usual.

    Order of one iteration: `optim_context` opens the step; in the forward each block's loss is
    propagated with this wrapper's scaling, uncounted; `update_params` propagates the model's own
    loss, counts the iteration, and steps. Gradients are cleared where mmengine clears them, after a
    step. The optimizer holds exactly the parameters that train: frozen ones are taken out.

    Args:
        optimizer: as for `OptimWrapper`.
        step_policy: `joint` steps all blocks at the iteration's end, as published. `per_block` steps
            each block right after its backward and frees its gradients: the same training with less
            memory, where gradients are neither clipped together nor accumulated, the reach is 1, and
            one process trains. `auto` is `per_block` where that holds and `joint` elsewhere.
        split_end: propagate the losses of a model's several heads one after the other, each before the next
            head runs: the same gradients with less memory (`SplitEnd`). Never of a model in a wrapper (DDP).
        **kwargs: as for `OptimWrapper` (`accumulative_counts`, `clip_grad`).

    Raises:
        ConfigError: if the policy is unknown, or `per_block` is to accumulate gradients.
    """

    def __init__(self, optimizer: Optimizer, step_policy: str = 'auto', split_end: bool = True, **kwargs: Any) -> None:
        if step_policy not in _POLICIES:
            raise ConfigError(f'step_policy = {step_policy!r} is not one of {", ".join(_POLICIES)}')
        if step_policy == 'per_block' and kwargs.get('accumulative_counts', 1) > 1:
            raise ConfigError(
                f'accumulative_counts = {kwargs["accumulative_counts"]} does not go with step_policy '
                "'per_block': a block's step would use other blocks' unfinished gradients. Use 'joint'"
            )
        separable = kwargs.get('accumulative_counts', 1) == 1 and not kwargs.get('clip_grad')
        _drop_frozen(optimizer)
        super().__init__(optimizer=optimizer, **kwargs)
        self._given_policy = step_policy
        self._separable = separable and get_world_size() == 1 and not isinstance(self, AmpOptimWrapper)
        self._split_end = split_end
        self._local_step: LocalStep | None = None
        self._end: SplitEnd | None = None

    def step_policy(self, isolated: bool) -> str:
        """`joint` or `per_block`: what is done for blocks that only their own loss reaches, or also others.

        Raises:
            ConfigError: if `per_block` was asked for, but later losses still use a block.
        """
        if self._given_policy == 'auto':
            return 'per_block' if self._separable and isolated else 'joint'
        if self._given_policy == 'per_block' and not isolated:
            raise ConfigError(
                "step_policy 'per_block' needs reach = 1 and overlap = 0: later losses still use the block"
            )
        return self._given_policy

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Open the local step around the forward; links to earlier blocks live on until `backward`."""
        step = LocalStep(self._backward_local, self._block_done, self._log)
        end = SplitEnd(self._backward_local)
        self._local_step = self._end = None
        inner: Any = model.module if is_model_wrapper(model) else model
        with super().optim_context(model), step.open(inner), ExitStack() as split:
            if self._split_end and inner is model:
                split.enter_context(end.open(model))
            yield
        self._local_step, self._end = step, end

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Propagate the model's own loss, then what of it reaches back over open boundaries."""
        (step, self._local_step), (end, self._end) = (self._local_step, None), (self._end, None)
        if step is not None:
            loss = step.own_loss(loss, float(self.scale_loss(torch.ones(()))))
        super().backward(loss, **kwargs)
        if end is not None:
            end.close()
        if step is not None:
            step.close()

    def _backward_local(self, loss: Tensor) -> None:
        """Scaled for accumulation like the model's own loss, but not counted as an iteration."""
        self.scale_loss(loss).backward()

    def _block_done(self, isolated: bool) -> None:
        if self.step_policy(isolated) == 'per_block':
            self.step()
            self.zero_grad()

    def _log(self, name: str, value: Tensor) -> None:
        self.message_hub.update_scalar(f'train/{name}', value)


@OPTIM_WRAPPERS.register_module()
class BlockwiseAmpOptimWrapper(BlockwiseOptimWrapper, AmpOptimWrapper):
    """`BlockwiseOptimWrapper` with mixed precision; arguments as for `AmpOptimWrapper`.

    Local losses are scaled by the same scaler.
    """

    def _backward_local(self, loss: Tensor) -> None:
        self.loss_scaler.scale(self.scale_loss(loss)).backward()


def _drop_frozen(optimizer: Optimizer) -> None:
    """Take frozen parameters out; mmengine hands them all to the optimizer."""
    for group in optimizer.param_groups:
        group['params'] = [p for p in group['params'] if p.requires_grad]
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if group['params']]
