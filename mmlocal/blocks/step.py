"""The training step under way: where a boundary finds its batch and how it trains a block.

In order, for each block but the last: its forward ends at the boundary, the auxiliary's loss is
computed and propagated, the gradient goes on through the block (and through what lies before it
within reach), and the next block reads a detached feature. The memory is saved by this order alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from mmlocal.blocks.reconcile import disagreement

__all__ = ['Batch', 'Done', 'LocalStep', 'Span', 'Trainer', 'current_step']

# What a unit puts out, and the leaves that are read in its place.
Link = tuple[Sequence[Tensor], Sequence[Tensor]]
Losses = Mapping[str, 'Tensor | list[Tensor]']

_CURRENT: ContextVar[LocalStep | None] = ContextVar('mmlocal_step', default=None)


def current_step() -> LocalStep | None:
    """The step that a training forward is in, or none: in prediction, in tensor mode, without gradients."""
    step = _CURRENT.get()
    return step if step is not None and step.in_loss and torch.is_grad_enabled() else None


@dataclass(frozen=True)
class Batch:
    """What a local loss may read beside the block's output.

    Args:
        inputs: the images as the model's network gets them.
        data_samples: the host's annotations.
        further: what the next unit gets beside the feature (Swin's map size).
        bank: outputs of units that ran in this forward, detached, by the unit's name.
    """

    inputs: Any = None
    data_samples: Any = None
    further: tuple[Any, ...] = ()
    bank: Mapping[str, Tensor] = field(default_factory=dict)


class Trainer(Protocol):
    """What trains a block: an auxiliary network. `name` is the block's, for the logs."""

    name: str

    def streams(self) -> Sequence[tuple[bool, Callable[[Tensor, Batch], Iterable[Losses]]]]:
        """Functions that give a block's losses, and for each whether it stays in that block.

        A function gives losses one part after the other; the graph of a part is freed before the next is
        computed. Only keys that contain `loss` are trained.
        """

    def loss(self, feature: Tensor, batch: Batch) -> Losses:
        """All losses at once; only for what is `whole`."""

    @property
    def passed_on(self) -> float:
        """Share of the model's own loss that goes on from the last block to those before it, within reach."""


@dataclass(frozen=True)
class Span:
    """How far the losses at a boundary flow back, in segments: pieces of the network between two leaves.

    Args:
        own: segments of the block itself.
        reach: segments that the block's loss flows through, its own included.
        kept: of the newest segments, how many losses to come flow through.
        reconcile: weight of the penalty of successive gradient reconciliation; 0 is none.
    """

    own: int = 1
    reach: int = 1
    kept: int = 0
    reconcile: float = 0.0

    @property
    def alone(self) -> bool:
        """Whether the block's loss reaches that block alone, and no later loss does."""
        return self.reach == self.own and self.kept == 0


class Segment(NamedTuple):
    """A piece of the network that later losses still reach: its number, and its links in the order they ran."""

    number: int
    links: list[Link]


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
        self._backward = backward
        self._block_done = block_done
        self._log = log
        self._inputs: Any = None
        self._data_samples: Any = None
        self._bank: dict[str, Tensor] = {}
        self._passed_on = 1.0
        # Gradient at the end of the running block that is not to flow beyond it.
        self._staying: Tensor | None = None
        # What the running block starts from, the gradient that the block before got there, and a weight.
        self._entry: tuple[Tensor, Tensor, float] | None = None
        # Segments that a later loss still reaches, and the links of the segment that is running.
        self._segments: deque[Segment] = deque()
        self._running: list[Link] = []

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
            self._running = []

    def _take_batch(self, _model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = ('inputs', 'data_samples', 'mode')
        batch = dict(zip(names, args, strict=False)) | {name: kwargs[name] for name in names if name in kwargs}
        self.in_loss = batch.get('mode') == 'loss'
        self._inputs, self._data_samples = batch.get('inputs'), batch.get('data_samples')

    def keep(self, name: str, output: Tensor) -> None:
        """Put a unit's output into the feature bank of this forward, detached."""
        self._bank[name] = output.detach()

    def link(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """Leaves in place of a unit's outputs that are read again behind its block.

        Their gradients go on into the unit with the losses that reach the segment, and with no other: whoever
        reads them later reads detached features.
        """
        leaves = [output.detach().requires_grad_() for output in outputs]
        self._running.append((outputs, leaves))
        return leaves

    def end_segment(self, outputs: Sequence[Tensor], number: int) -> list[Tensor]:
        """Leaves in place of a unit's outputs from which on a later loss flows back, and before which it does not."""
        leaves = self.link(outputs)
        self._segments.append(Segment(number, self._running))
        self._running = []
        return leaves

    def train_block(
        self,
        outputs: Sequence[Tensor],
        trainer: Trainer | None,
        reach: Span,
        segment: int,
        further: tuple[Any, ...] = (),
    ) -> list[Tensor]:
        """Train the block that put out `outputs`, and return the features for the next one.

        Args:
            outputs: of the block, with their graph; the first is what its auxiliary reads.
            trainer: gives the block's losses; none leaves it to a later block's.
            reach: how far the losses flow back.
            segment: number of the segment that ends here.
            further: what the next unit gets beside the feature.

        Returns:
            The same values without the block's graph; a leaf that requires gradients where losses to come
            flow back through it.
        """
        batch = Batch(self._inputs, self._data_samples, further, self._bank)
        if reach.reconcile and trainer is not None:
            leaf = self._train_reconciled(outputs[0], trainer, batch, reach.reconcile)
            self._block_done(Done(trainer.name, segment + 1, alone=True))
            return [leaf, *(output.detach() for output in outputs[1:])]
        leaves = self.end_segment(outputs, segment)
        if trainer is not None:
            # The forward of a mixed-precision step is under autocast, its backward must not be.
            self._train(leaves[0], trainer, batch, reach)
            self._passed_on = trainer.passed_on
        while len(self._segments) > reach.kept:
            for finished in _leaves(self._segments.popleft()):
                finished.requires_grad_(False)
        if trainer is not None:
            closed = self._segments[0].number if self._segments else segment + 1
            self._block_done(Done(trainer.name, closed, reach.alone))
        return leaves

    @property
    def reconciles(self) -> bool:
        """Whether the model's own loss has a penalty that reads its gradient before the last block."""
        return self._entry is not None

    def own_loss(self, loss: Tensor, scale: float = 1.0) -> Tensor:
        """The model's own loss, which `scale` was applied to, with the penalty that is the last block's."""
        if self._entry is None:
            return loss
        leaf, wanted, weight = self._entry
        return loss + scale * weight * disagreement(loss / scale, leaf, wanted)

    def close(self) -> None:
        """After the model's own loss was propagated: pass its gradient to the blocks that it still reaches."""
        for leaf in (leaf for segment in self._segments for leaf in _leaves(segment)):
            if leaf.grad is not None and self._passed_on != 1.0:
                leaf.grad *= self._passed_on
        self._propagate(reach=len(self._segments), kept=0)
        self._segments.clear()

    def _train(self, leaf: Tensor, trainer: Trainer, batch: Batch, reach: Span) -> None:
        """Propagate the losses of all streams to the block's output, then back as far as each flows."""
        logs: dict[str, Tensor] = {}
        # Named for profilers and for the memory report.
        with record_function(f'{trainer.name}.auxiliary'):
            for stays, losses_of in trainer.streams():
                for losses in losses_of(leaf, batch):
                    total = _total(losses, trainer.name, logs)
                    with torch.autocast(leaf.device.type, enabled=False):
                        self._backward(total)
                    del losses, total
                if stays:
                    self._staying, leaf.grad = leaf.grad, None
        for name, value in logs.items():
            self._log(f'{trainer.name}.{name}', value)
        with torch.autocast(leaf.device.type, enabled=False), record_function(f'{trainer.name}.backward'):
            if self._staying is not None:
                self._propagate_apart(leaf, reach)
            else:
                self._propagate(reach.reach, reach.kept)

    def _propagate_apart(self, leaf: Tensor, reach: Span) -> None:
        """Carry two gradients back: what stays through the block alone, `leaf.grad` as far as it reaches.

        The block's weights need their sum, the blocks before it the second alone. Where the block is one link, one
        backward with the sum and one for the block's input alone are enough; else each gradient has its own.
        """
        own = self._segments[-1].links
        earlier = [one for segment in list(self._segments)[:-1] for one in _leaves(segment)]
        staying, flowing = self._staying, leaf.grad
        self._staying = leaf.grad = None
        if staying is not None and flowing is not None and reach.own == 1 and len(own) == 1 and reach.reach > 1:
            output = own[0][0][0]
            passed = torch.autograd.grad(output, earlier, flowing, retain_graph=True, allow_unused=True)
            flowing += staying
            del staying
            torch.autograd.backward(output, flowing, retain_graph=reach.kept > 0)
            del flowing
            for one, gradient in zip(earlier, passed, strict=True):
                one.grad = gradient
            self._propagate(reach.reach, reach.kept)
            return
        leaf.grad = staying
        self._propagate(reach.own, len(self._segments))
        leaf.grad = flowing
        self._propagate(reach.reach, reach.kept)

    def _train_reconciled(self, output: Tensor, trainer: Trainer, batch: Batch, weight: float) -> Tensor:
        """Train an isolated block whose gradient at its input is to agree with the one that the block before got."""
        logs: dict[str, Tensor] = {}
        total = _total(trainer.loss(output, batch), trainer.name, logs)
        (wanted,) = torch.autograd.grad(total, output, retain_graph=True)
        if self._entry is not None:
            penalty = disagreement(total, *self._entry[:2])
            logs['loss_reconcile'] = penalty.detach()
            total = total + weight * penalty
        with torch.autocast(output.device.type, enabled=False):
            self._backward(total)
        for name, value in logs.items():
            self._log(f'{trainer.name}.{name}', value)
        leaf = output.detach().requires_grad_()
        self._entry = (leaf, wanted, weight)
        return leaf

    def _propagate(self, reach: int, kept: int) -> None:
        """Carry the newest leaf's gradient back through `reach` linked segments, newest first.

        The graphs of the newest `kept` segments stay for losses to come; the others are freed.
        """
        for age, segment in enumerate(reversed(self._segments)):
            for outputs, leaves in reversed(segment.links):
                gradients = [(output, leaf.grad) for output, leaf in zip(outputs, leaves, strict=True)]
                for leaf in leaves:
                    leaf.grad = None
                heard = [pair for pair in gradients if pair[1] is not None]
                del gradients
                if heard and age < reach:
                    of, gradient = zip(*heard, strict=True)
                    del heard
                    torch.autograd.backward(of, gradient, retain_graph=age < kept)


def _leaves(segment: Segment) -> Iterator[Tensor]:
    return (leaf for _, leaves in segment.links for leaf in leaves)


def _total(losses: Losses, name: str, logs: dict[str, Tensor]) -> Tensor:
    """Sum the terms as `BaseModel.parse_losses` does; values of the same name add up in `logs`."""
    total: Tensor | None = None
    for key, value in losses.items():
        term = value.mean() if isinstance(value, Tensor) else torch.stack([v.mean() for v in value]).sum()
        logs[key] = logs[key] + term.detach() if key in logs else term.detach()
        if 'loss' in key:
            total = term if total is None else total + term
    if total is None:
        raise ValueError(f'the auxiliary of {name} gives no loss: none of {sorted(losses)} contains "loss"')
    return total
