"""The optimizer wrapper that lets every block propagate its own loss inside the forward."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from mmlocal.blocks import Division, Done, LocalStep
from mmlocal.engine.distributed import GradientReducer, LocalDataParallel
from mmlocal.engine.optimizers.finite_losses import FiniteLosses
from mmlocal.engine.optimizers.split_heads import SplitEnd
from mmlocal.engine.optimizers.undo import Undo
from mmlocal.engine.summary import find_division
from mmlocal.errors import ConfigError, NonFiniteLossError
from mmlocal.registry import OPTIM_WRAPPERS

__all__ = ['BlockwiseOptimWrapper']

_POLICIES = ('auto', 'joint', 'per_block')
_ANSWERS = ('stop', 'skip', 'ignore')


@OPTIM_WRAPPERS.register_module()
class BlockwiseOptimWrapper(OptimWrapper):
    """An `OptimWrapper` for models with a `LocalBackbone`; any other model trains as usual.

    Order of one iteration: `optim_context` opens the step; in the forward each block's loss is
    propagated with this wrapper's scaling, uncounted; `update_params` propagates the model's own
    loss, counts the iteration, and steps. Gradients are cleared where mmengine clears them, after a
    step. Groups stay as the constructor makes them, frozen parameters included, which have no gradient and no
    state: what stock wrappers save is loaded here, and the other way round.

    In several processes a block's gradients are averaged as soon as no other loss reaches it; `per_block`
    steps it when the next block is done, so that they have the time of that block to travel.

    Args:
        optimizer: as for `OptimWrapper`.
        step_policy: `joint` steps all blocks at the iteration's end, as published. `per_block` steps
            each block right after its backward and frees its gradients: the same training with less
            memory, where gradients are neither clipped together nor accumulated, and the reach is 1.
            `auto` is `per_block` where that holds and `joint` elsewhere.
        split_end: propagate the losses of a model's several heads one after the other, each before the next
            head runs: the same gradients with less memory (`SplitEnd`). Never of a model in stock DDP.
        on_nonfinite: what is done about a loss that is no finite number: `stop` ends the training with its name,
            `skip` takes the iteration back and counts it (`train/skipped` in the logs), `ignore` does not look.
            After `skip` weights, buffers, copies, optimizer, scaler and random state are what they were before the
            iteration, so all blocks step jointly at its end. A network that is itself not finite stops.
        **kwargs: as for `OptimWrapper` (`accumulative_counts`, `clip_grad`).

    Raises:
        ConfigError: if the policy is unknown, or `per_block` or `skip` are to accumulate gradients.
        NonFiniteLossError: in training, before the optimizer moves a block that the loss reaches.
    """

    averages = True

    def __init__(
        self,
        optimizer: Optimizer,
        step_policy: str = 'auto',
        split_end: bool = True,
        on_nonfinite: str = 'stop',
        **kwargs: Any,
    ) -> None:
        if step_policy not in _POLICIES:
            raise ConfigError(f'step_policy = {step_policy!r} is not one of {", ".join(_POLICIES)}')
        if on_nonfinite not in _ANSWERS:
            raise ConfigError(f'on_nonfinite = {on_nonfinite!r} is not one of {", ".join(_ANSWERS)}')
        count = kwargs.get('accumulative_counts', 1)
        if step_policy == 'per_block' and count > 1:
            raise ConfigError(
                f'accumulative_counts = {count} does not go with step_policy '
                "'per_block': a block's step would use other blocks' unfinished gradients. Use 'joint'"
            )
        if on_nonfinite == 'skip' and count > 1:
            raise ConfigError(
                f"accumulative_counts = {count} does not go with on_nonfinite = 'skip': the gradients of the batches "
                "before are in the same sums. Use 'stop'"
            )
        super().__init__(optimizer=optimizer, **kwargs)
        self._given_policy, self.on_nonfinite = step_policy, on_nonfinite
        # What is stepped cannot be taken back.
        self._separable = count == 1 and not kwargs.get('clip_grad') and on_nonfinite != 'skip'
        self._split_end = split_end
        self._finite: FiniteLosses | None = None
        self._division: Division | None = None
        self._forget()

    def _forget(self) -> None:
        """Nothing refers to an iteration after it ends."""
        self._step: LocalStep | None = None
        self._end: SplitEnd | None = None
        self._reducer: GradientReducer | None = None
        # Parts of gradients on their way between the processes, and whether a loss was not finite.
        self._under_way, self._broken = 0, False
        self._undo: Undo | None = None
        if self._finite is not None:
            self._finite.forget_batch()

    def step_policy(self, isolated: bool) -> str:
        """`joint` or `per_block`: what is done for blocks that only their own loss reaches, or also others.

        Raises:
            ConfigError: if `per_block` was asked for, but later losses still use a block.
        """
        if self._given_policy == 'auto' or self.on_nonfinite == 'skip':
            return 'per_block' if self._separable and isolated else 'joint'
        if self._given_policy == 'per_block' and not isolated:
            raise ConfigError(
                "step_policy 'per_block' needs reach = 1 and overlap = 0: later losses still use the block"
            )
        return self._given_policy

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Open the local step around the forward; links to earlier blocks live on until `backward`."""
        self._forget()
        inner: Any = model.module if is_model_wrapper(model) else model
        self._division = find_division(inner)
        self._finite = finite = FiniteLosses(inner, self._division)
        self._undo = Undo(inner) if self.on_nonfinite == 'skip' else None
        step = LocalStep(self._backward_local, self._block_done, self._log)
        end = SplitEnd(self._backward_local)
        with super().optim_context(model), step.open(inner), ExitStack() as stack:
            stack.callback(inner.register_forward_pre_hook(finite.take_batch, with_kwargs=True).remove)
            stack.callback(inner.register_forward_hook(finite.take_own).remove)
            if self._per_block and self.on_nonfinite != 'ignore':
                finite.check_weights()
            self._reducer = self._open_reducer(model, inner, stack)
            if self._split_end and (inner is model or isinstance(model, LocalDataParallel)):
                stack.enter_context(end.open(inner))
            try:
                yield
            except BaseException:
                self._forget()
                raise
        self._step, self._end = step, end

    @property
    def _per_block(self) -> bool:
        return self._division is not None and self.step_policy(self._division.isolated) == 'per_block'

    def _open_reducer(self, model: nn.Module, inner: nn.Module, stack: ExitStack) -> GradientReducer | None:
        """What averages this step's gradients; none where there is nothing to average, or stock DDP does."""
        if inner is model or not self.should_sync():
            return None
        trained = {name: p for name, p in inner.named_parameters() if p.requires_grad}
        if isinstance(model, LocalDataParallel):
            return GradientReducer(trained, model.process_group, model.comm_hook, int(model.bucket_cap_mb * 2**20))
        if not isinstance(model, DistributedDataParallel) or self._division is None:
            return None
        if self._division.isolated and not self._per_block:
            return None
        # Its reducer takes gradients as final when the forward ends.
        stack.enter_context(model.no_sync())
        return GradientReducer(trained, model.process_group)

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Propagate the model's own loss, then what of it reaches back over open boundaries.

        Raises:
            NonFiniteLossError: if a loss since the last step is no finite number.
        """
        step, end = self._step, self._end
        if step is not None:
            loss = step.own_loss(loss, float(self.scale_loss(torch.ones(()))))
        super().backward(self._amplified(loss), **kwargs)
        if end is not None:
            end.close()
        if step is not None:
            step.close()
        self._refuse_nonfinite()
        if self._reducer is not None:
            self._reducer.finish()
        if self._broken:
            self._take_back()
        self._forget()

    def _backward_local(self, loss: Tensor) -> None:
        """Scaled for accumulation like the model's own loss, but not counted as an iteration."""
        self._amplified(self.scale_loss(loss)).backward()

    def _amplified(self, loss: Tensor) -> Tensor:
        """What mixed precision multiplies losses with."""
        return loss

    def _block_done(self, done: Done) -> None:
        per_block = self.step_policy(done.alone) == 'per_block'
        if self._reducer is None or self._division is None:
            if per_block:
                self._finish_block()
            return
        before = self._under_way
        self._under_way = self._reducer.start(self._final(self._division, done))
        if per_block and before:
            # Of the block before this one, whose gradients are on their way.
            self._reducer.wait(before)
            self._under_way -= before
            self._finish_block()

    def _final(self, division: Division, done: Done) -> Iterator[nn.Parameter]:
        """What no other loss will reach."""
        for unit in (unit for segment in division.segments[: done.segments] for unit in segment):
            yield from division.parameters_of(unit)
        if done.segments:
            yield from (p for p in division.parameters_of_none() if p.grad is not None)
        for auxiliary in division.auxiliaries:
            if auxiliary.name == done.name:
                yield from auxiliary.parameters()

    def _finish_block(self) -> None:
        """Step the only block that has gradients."""
        self._refuse_nonfinite()
        if not self._broken:
            self._step_block()
        self.zero_grad()

    def _step_block(self) -> None:
        self.step()

    def _refuse_nonfinite(self) -> None:
        if self._finite is None or self.on_nonfinite == 'ignore':
            return
        wrong = self._finite.check()
        if wrong and self.on_nonfinite == 'stop':
            raise NonFiniteLossError(wrong)
        if wrong and not self._broken:
            print_log(f'skipped: {wrong}', 'current', logging.WARNING)
        self._broken = self._broken or bool(wrong)

    def _take_back(self) -> None:
        """Leave nothing of the iteration but that it is counted.

        Raises:
            NonFiniteLossError: if a weight is not finite, as no batch will be better then.
        """
        self.zero_grad()
        if self._undo is not None:
            self._undo()
        if self._finite is not None:
            self._finite.check_weights('the batch was to be skipped, but the network itself is not finite')
        self._count_skipped()

    def _count_skipped(self) -> None:
        # Counted where checkpoints hold it.
        before = self.message_hub.log_scalars.get('train/skipped')
        self.message_hub.update_scalar('train/skipped', 1 if before is None else int(before.current()) + 1)

    def _log(self, name: str, value: Tensor) -> None:
        if self._finite is not None and 'loss' in name:
            self._finite.note(name, value)
        self.message_hub.update_scalar(f'train/{name}', value)
