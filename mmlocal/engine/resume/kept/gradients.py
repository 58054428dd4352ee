"""The gradients of an accumulation that has begun."""

from __future__ import annotations

from collections.abc import Mapping

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

__all__ = ['gradients', 'set_gradients']


def _inner(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def gradients(runner: Runner) -> dict[str, Tensor]:
    """Copies of the gradients between two steps by their parameters' names; none where no batch has left any.

    They are those of this process: while gradients are accumulated, processes do not average them.
    """
    found = {name: p.grad for name, p in _inner(runner).named_parameters() if isinstance(p.grad, Tensor)}
    if any(isinstance(grad, DTensor) for grad in found.values()):
        return {}
    return {name: grad.detach().to('cpu', copy=True) for name, grad in found.items()}


def set_gradients(runner: Runner, found: Mapping[str, Tensor]) -> None:
    """Go on accumulating where `gradients` was taken."""
    for name, parameter in _inner(runner).named_parameters():
        if name in found:
            parameter.grad = found[name].to(parameter.device, parameter.dtype, copy=True)
