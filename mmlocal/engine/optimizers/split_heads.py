"""The model's own end in parts: each head's loss is propagated before the next head runs.

The heads read leaves in place of the neck's outputs (of the backbone's, where there is no neck). The last head's loss
is the host's own to propagate; then one backward carries what the leaves collected through the neck and the last block.
The gradients are the same sums as without, and the graphs of two heads are never alive together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmlocal.blocks import current_step
from mmlocal.hosts import HOSTS
from mmlocal.losses import total_of

__all__ = ['SplitEnd']


class SplitEnd:
    """The end of one training forward.

    A head is split off where no graph goes into its losses' method but through leaves, and none comes out but the
    losses'. Any other goes on as before, and so does a model of one head, or of a class that may weigh its losses.

    Args:
        backward: propagates a loss, scaled as the optimizer wrapper scales the model's own.
    """

    def __init__(self, backward: Callable[[Tensor], None]) -> None:
        self._backward = backward
        # Of each output of the neck a root of its graph, and a leaf that collects its gradient.
        self._links: list[tuple[Tensor, Tensor]] = []

    @contextmanager
    def open(self, model: nn.Module) -> Iterator[None]:
        """Split the end of `model` (not of a wrapper of it) while it runs its forward."""
        with ExitStack() as restored:
            split = _heads(model)[:-1]
            if split:
                neck = getattr(model, 'neck', None)
                source: Any = model.backbone if neck is None else neck
                restored.callback(source.register_forward_hook(self._cut).remove)
            for head, method in split:
                restored.enter_context(_replaced(head, method, partial(self._propagated, getattr(head, method))))
            yield

    def close(self) -> None:
        """After the model's own loss was propagated: carry the gradients of all heads through neck and last block."""
        links, self._links = self._links, []
        roots = [root for root, sink in links if sink.grad is not None]
        if roots:
            torch.autograd.backward(roots)

    def _cut(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        """Forward hook on what the heads read."""
        step = current_step()
        if step is None or step.reconciles:
            return None
        if isinstance(output, (tuple, list)):
            return type(output)(map(self._leaf, output))
        return self._leaf(output)

    def _leaf(self, output: Any) -> Any:
        if not isinstance(output, Tensor) or not output.requires_grad:
            return output
        # One number that claims the output's shape: the gradients add up here, and hold no features.
        sink = output.new_zeros(()).expand(output.shape).requires_grad_()
        self._links.append((_apply(_HandOver, output, [sink]), sink))
        return _apply(_Read, sink, [output.detach()])

    def _propagated(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What the head's own method gives, its losses already propagated."""
        result = method(*args, **kwargs)
        losses, *others = result if isinstance(result, tuple) else (result,)
        if current_step() is None or not isinstance(losses, dict):
            return result
        trained = {key: value for key, value in losses.items() if 'loss' in key}
        others += [value for key, value in losses.items() if key not in trained]
        total = total_of(trained)
        if total is None or not total.requires_grad or _has_graph([args, kwargs, others]):
            return result
        # The forward of a mixed-precision step is under autocast, its backward must not be.
        with torch.autocast(total.device.type, enabled=False):
            self._backward(total)
        losses.update({key: _again(value) for key, value in trained.items()})
        return result


class _Read(torch.autograd.Function):
    """What the heads read: the values of an output, whose gradient goes into the sink."""

    @staticmethod
    def forward(ctx: Any, _sink: Tensor, values: list[Tensor]) -> Tensor:
        ctx.ends_here = True
        return values[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _HandOver(torch.autograd.Function):
    """A root of an output's graph that gives it the sink's gradient; none of the two is held while it is used."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, sink: list[Tensor]) -> Tensor:
        (ctx.sink,) = sink
        return output.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor | None, None]:
        gradient, ctx.sink.grad = ctx.sink.grad, None
        return gradient, None


def _apply(function: Any, *args: Any) -> Tensor:
    """Typed; torch's own is not. What is in a list is no part of the graph."""
    result: Tensor = function.apply(*args)
    return result


def _heads(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """The heads of the model in the order in which they run, each with the name of the method that gives its losses."""
    # Hosts that add these losses up as they are; one that weighs them would need a head's graph once more.
    adding = [host for host in HOSTS.values() if host.loss_heads]
    methods = dict.fromkeys(name for host in adding for name in host.between)
    between = [getattr(type(model), name) for name in methods if hasattr(type(model), name)]
    known = ('mmengine', *(host.name for host in adding))
    if any(function.__module__.partition('.')[0] not in known for function in between):
        return []
    module = getattr(getattr(type(model), 'loss', None), '__module__', '')
    slots = next((host.loss_heads[module] for host in adding if module in host.loss_heads), ())
    given = [(getattr(model, slot, None), method) for slot, method in slots]
    return [
        (one, method)
        for head, method in given
        if head is not None
        for one in (head if isinstance(head, nn.ModuleList) else [head])
    ]


@contextmanager
def _replaced(head: nn.Module, name: str, method: Callable[..., Any]) -> Iterator[None]:
    """Let the instance have another method; one that was set on the instance before comes back behind."""
    before = {name: vars(head)[name]} if name in vars(head) else {}
    vars(head)[name] = method
    try:
        yield
    finally:
        del vars(head)[name]
        vars(head).update(before)


def _again(value: Any) -> Any:
    """The same values without the graph; the host's sum still has one, whatever its last head does."""
    return value.detach().requires_grad_() if isinstance(value, Tensor) else [_again(one) for one in value]


def _has_graph(value: Any) -> bool:
    """Whether a tensor in it has a graph of its own: what the heads read in the neck's place has none."""
    if isinstance(value, Tensor):
        return value.grad_fn is not None and not getattr(value.grad_fn, 'ends_here', False)
    if isinstance(value, (Mapping, BaseDataElement)):
        return any(map(_has_graph, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_has_graph, value))
    # mmdet's boxes are no tensors, but hold one.
    return isinstance(getattr(value, 'tensor', None), Tensor) and _has_graph(value.tensor)
