"""The training step under way: where a boundary finds its batch, and in which order it trains a block.

Of each block but the last: its forward ends at the boundary; the auxiliary's forward, its losses and its backward run;
the gradient goes on through the block (and through what lies before it within reach); the next block reads a detached
feature. The memory is saved by this order alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from mmlocal.blocks.links import Links
from mmlocal.blocks.reconcile import Reconciliation
from mmlocal.blocks.trainer import Batch, Part, Span, Stream, Trainer
from mmlocal.losses import Losses, mean_of, total_of

__all__ = ['Done', 'LocalStep', 'current_step']

_CURRENT: ContextVar[LocalStep | None] = ContextVar('mmlocal_step', default=None)


def current_step() -> LocalStep | None:
    """The step that a training forward is in, or none: in prediction, in tensor mode, without gradients."""
    step = _CURRENT.get()
    return step if step is not None and step.in_loss and torch.is_grad_enabled() else None


class Done(NamedTuple):
    """What a block's backward leaves behind.

    Args:
        name: the block's; its auxiliary has all of its gradients.
        segments: no later loss reaches the first so many segments of the network.
        alone: whether no other loss reaches the block.
    """

    name: str
    segments: int
    alone: bool


class LocalStep:
    """One training forward of a model with a `LocalBackbone`.

    Args:
        backward: propagates a local loss, scaled as the optimizer wrapper scales the model's own.
        block_done: called after a block's backward; a per-block policy steps there, and several processes begin
            to average.
        log: takes the name and value of every local loss.
    """

    def __init__(
        self,
        backward: Callable[[Tensor], None],
        block_done: Callable[[Done], None],
        log: Callable[[str, Tensor], None],
    ) -> None:
        self.in_loss = False
        self._backward, self._block_done, self._log = backward, block_done, log
        self._inputs: Any = None
        self._data_samples: Any = None
        self._bank: dict[str, Tensor] = {}
        self._passed_on = 1.0
        self._links = Links()
        self._reconciliation = Reconciliation()

    @contextmanager
    def open(self, model: nn.Module) -> Iterator[None]:
        """Make this the current step while `model` (not a wrapper of it) runs its forward."""
        token = _CURRENT.set(self)
        handle = model.register_forward_pre_hook(self._take_batch, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()
            _CURRENT.reset(token)
            self._inputs = self._data_samples = None
            self._bank = {}
            self._links.forget_running()

    def _take_batch(self, _model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = ('inputs', 'data_samples', 'mode')
        batch = dict(zip(names, args, strict=False)) | {name: kwargs[name] for name in names if name in kwargs}
        self.in_loss = batch.get('mode') == 'loss'
        self._inputs, self._data_samples = batch.get('inputs'), batch.get('data_samples')

    def keep(self, name: str, output: Tensor) -> None:
        """Put a unit's output into the feature bank of this forward, detached."""
        self._bank[name] = output.detach()

    def link(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """What is read after its block in place of a unit's outputs (`Links.link`)."""
        return self._links.link(outputs)

    def end_segment(self, outputs: Sequence[Tensor], number: int) -> list[Tensor]:
        """What is read in place of a unit's outputs where later losses stop (`Links.end_segment`)."""
        return self._links.end_segment(outputs, number)

    def train_block(
        self,
        outputs: Sequence[Tensor],
        trainer: Trainer | None,
        span: Span,
        segment: int,
        further: tuple[Any, ...] = (),
    ) -> list[Tensor]:
        """Train the block that put out `outputs`, and return the features for the next one.

        Args:
            outputs: of the block, with their graph; the first is what its auxiliary reads.
            trainer: gives the block's losses; none leaves it to a later block's.
            span: how far the losses flow back.
            segment: number of the segment that ends here.
            further: what the next unit gets beside the feature.

        Returns:
            The same values without the block's graph; a leaf that requires gradients where losses to come
            flow back through it.
        """
        batch = Batch(self._inputs, self._data_samples, further, self._bank)
        if span.reconcile and trainer is not None:
            leaf = self._train_reconciled(outputs[0], trainer, batch, span.reconcile)
            self._block_done(Done(trainer.name, segment + 1, alone=True))
            return [leaf, *(output.detach() for output in outputs[1:])]
        leaves = self._links.end_segment(outputs, segment)
        if trainer is not None:
            staying = self._train_auxiliary(leaves[0], trainer, batch)
            with record_function(f'{trainer.name}.backward'):
                self._links.backward(leaves[0], staying, span)
            self._passed_on = trainer.passed_on
        closed = self._links.drop(span.kept, running=segment + 1)
        if trainer is not None:
            self._block_done(Done(trainer.name, closed, span.alone))
        return leaves

    @property
    def reconciles(self) -> bool:
        """Whether the model's own loss has a penalty that reads its gradient before the last block."""
        return self._reconciliation.begun

    def own_loss(self, loss: Tensor, scale: float = 1.0) -> Tensor:
        """The model's own loss, which `scale` was applied to, with the penalty that is the last block's."""
        return self._reconciliation.penalised(loss, scale)[0]

    def close(self) -> None:
        """After the model's own loss was propagated: pass its gradient to the blocks that it still reaches."""
        self._links.close(self._passed_on)

    def _train_auxiliary(self, leaf: Tensor, trainer: Trainer, batch: Batch) -> Tensor | None:
        """Propagate all losses to the leaf; the gradient that is to stay in the block is returned, apart from it."""
        logs: dict[str, Tensor] = {}
        staying: Tensor | None = None
        # Named for profilers and for the memory report.
        with record_function(f'{trainer.name}.auxiliary'):
            for stream in trainer.streams(leaf, batch):
                self._train_stream(stream, trainer.name, logs)
                if stream.stays:
                    staying, leaf.grad = leaf.grad, None
        self._log_all(trainer.name, logs)
        return staying

    def _train_stream(self, stream: Stream, name: str, logs: dict[str, Tensor]) -> None:
        for part in stream.parts:
            self._train_part(part, name, logs)

    def _train_part(self, part: Part, name: str, logs: dict[str, Tensor]) -> None:
        part.forward()
        for losses in part.losses():
            total = _total(losses, name, logs)
            del losses
            with torch.autocast(total.device.type, enabled=False):
                self._backward(total)
            del total
        part.backward()

    def _train_reconciled(self, output: Tensor, trainer: Trainer, batch: Batch, weight: float) -> Tensor:
        """Train an isolated block whose gradient at its input is to agree with the one that the block before got."""
        logs: dict[str, Tensor] = {}
        total = _total(trainer.loss(output, batch), trainer.name, logs)
        (wanted,) = torch.autograd.grad(total, output, retain_graph=True)
        total, penalty = self._reconciliation.penalised(total)
        if penalty is not None:
            logs['loss_reconcile'] = penalty
        with torch.autocast(output.device.type, enabled=False):
            self._backward(total)
        self._log_all(trainer.name, logs)
        return self._reconciliation.start(output, wanted, weight)

    def _log_all(self, name: str, logs: dict[str, Tensor]) -> None:
        for key, value in logs.items():
            self._log(f'{name}.{key}', value)


def _total(losses: Losses, name: str, logs: dict[str, Tensor]) -> Tensor:
    """What is trained; values of the same name add up in `logs`."""
    terms = {key: mean_of(value) for key, value in losses.items()}
    for key, term in terms.items():
        logs[key] = logs[key] + term.detach() if key in logs else term.detach()
    total = total_of(terms)
    if total is None:
        raise ValueError(f'the auxiliary of {name} gives no loss: none of {sorted(losses)} contains "loss"')
    return total
