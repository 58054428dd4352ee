"""The training step under way: where a boundary finds its batch and how it trains a block.

In order, for each block but the last: its forward ends at the boundary, the auxiliary's loss is
computed and propagated, the gradient goes on through the block (and through `reach - 1` blocks
before it), and the next block reads a detached feature. The memory is saved by this order alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch import Tensor, nn

__all__ = ['LocalStep', 'Trainer', 'current_step']

Link = tuple[Tensor, Tensor]

_CURRENT: ContextVar[LocalStep | None] = ContextVar('mmlocal_step', default=None)


def current_step() -> LocalStep | None:
    """The step that a training forward is in, or none: in prediction, in tensor mode, without gradients."""
    step = _CURRENT.get()
    return step if step is not None and step.in_loss and torch.is_grad_enabled() else None


class Trainer(Protocol):
    """What trains a block: an auxiliary network. `name` is the block's, for the logs."""

    name: str

    def loss(
        self, feature: Tensor, inputs: Any, data_samples: Any, further: tuple[Any, ...] = ()
    ) -> Mapping[str, Tensor | list[Tensor]]:
        """Losses of the block that put out `feature`; only keys that contain `loss` are trained.

        `further` is what the next unit gets beside the feature (Swin's map size).
        """


class LocalStep:
    """One training forward of a model with a `LocalBackbone`.

    Args:
        backward: propagates a local loss, scaled as the optimizer wrapper scales the model's own.
        block_done: called with the reach after a block's backward; a per-block policy steps there.
        log: takes the name and value of every local loss.
    """

    def __init__(
        self,
        backward: Callable[[Tensor], None],
        block_done: Callable[[int], None],
        log: Callable[[str, Tensor], None],
    ) -> None:
        self.in_loss = False
        self._backward = backward
        self._block_done = block_done
        self._log = log
        self._inputs: Any = None
        self._data_samples: Any = None
        # A link is a unit's output and the leaf that is read in its place. Blocks that a later loss still
        # reaches, with their links in the order they ran; and the links of the block that is running.
        self._blocks: deque[list[Link]] = deque()
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
            self._running = []

    def _take_batch(self, _model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = ('inputs', 'data_samples', 'mode')
        batch = dict(zip(names, args, strict=False)) | {name: kwargs[name] for name in names if name in kwargs}
        self.in_loss = batch.get('mode') == 'loss'
        self._inputs, self._data_samples = batch.get('inputs'), batch.get('data_samples')

    def link(self, output: Tensor) -> Tensor:
        """A leaf in place of a unit's output that is read again behind its block.

        Its gradient goes on into the unit with the losses that reach the block, and with no other: whoever
        reads it later reads a detached feature.
        """
        leaf = output.detach().requires_grad_()
        self._running.append((output, leaf))
        return leaf

    def train_block(self, output: Tensor, auxiliary: Trainer, reach: int, further: tuple[Any, ...] = ()) -> Tensor:
        """Train the block that put out `output`, and return the feature for the next one.

        Args:
            output: the block's output, with its graph.
            auxiliary: gives the block's loss.
            reach: how many blocks the loss flows back through, this one included.
            further: what the next unit gets beside the feature.

        Returns:
            The same values without the block's graph; a leaf that requires gradients when `reach` is above 1.
        """
        leaf = self.link(output)
        losses = auxiliary.loss(leaf, self._inputs, self._data_samples, further)
        total = self._total(losses, auxiliary.name)
        del losses
        self._blocks.append(self._running)
        self._running = []
        # The forward of a mixed-precision step is under autocast, its backward must not be.
        with torch.autocast(output.device.type, enabled=False):
            self._backward(total)
            self._propagate(kept=reach - 1)
        while len(self._blocks) >= reach:
            for _, finished in self._blocks.popleft():
                finished.requires_grad_(False)
        self._block_done(reach)
        return leaf

    def close(self) -> None:
        """After the model's own loss was propagated: pass its gradient to the blocks that it still reaches."""
        self._propagate(kept=0)
        self._blocks.clear()

    def _propagate(self, kept: int) -> None:
        """Carry the newest leaf's gradient back through the linked blocks, newest first.

        The graphs of the newest `kept` blocks stay for the losses to come; the others are freed.
        """
        for age, links in enumerate(reversed(self._blocks)):
            for output, leaf in reversed(links):
                gradient, leaf.grad = leaf.grad, None
                if gradient is not None:
                    torch.autograd.backward(output, gradient, retain_graph=age < kept)

    def _total(self, losses: Mapping[str, Tensor | list[Tensor]], name: str) -> Tensor:
        """Sum the terms as `BaseModel.parse_losses` does, and log each."""
        total: Tensor | None = None
        for key, value in losses.items():
            term = value.mean() if isinstance(value, Tensor) else torch.stack([v.mean() for v in value]).sum()
            self._log(f'{name}.{key}', term.detach())
            if 'loss' in key:
                total = term if total is None else total + term
        if total is None:
            raise ValueError(f'the auxiliary of {name} gives no loss: none of {sorted(losses)} contains "loss"')
        return total
