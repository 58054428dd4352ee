"""Running a module again in the backward instead of keeping what its backward needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

__all__ = ['recompute_forward', 'run_twice', 'statistics_kept']


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Batch norm as in training, but for its running statistics, which stay.

    So do those of any other module that has an attribute `keeps_statistics`, which is true meanwhile.
    """
    others: list[Any] = [m for m in module.modules() if hasattr(m, 'keeps_statistics')]
    norms = [(m, m.momentum) for m in module.modules() if isinstance(m, _BatchNorm)]
    counts = [
        (m.num_batches_tracked, m.num_batches_tracked.clone()) for m, _ in norms if m.num_batches_tracked is not None
    ]
    for norm, _ in norms:
        norm.momentum = 0.0
    for other in others:
        other.keeps_statistics = True
    try:
        yield
    finally:
        for norm, momentum in norms:
            norm.momentum = momentum
        for other in others:
            other.keeps_statistics = False
        for count, before in counts:
            count.copy_(before)


def run_twice(module: nn.Module, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`run(*args)`, keeping its inputs alone; it runs again in the backward, and counts once for batch norm.

    Args:
        module: what runs, for its batch norm.
        run: the module, or its forward.
        *args: given to `run`.
        **kwargs: given to `run`.
    """
    contexts = partial(_contexts, module)
    return checkpoint(run, *args, use_reentrant=False, context_fn=contexts, **kwargs)


class _StatisticsKept:
    """`statistics_kept` that may be entered again: with a reach above 1 several losses run a unit again."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.kept = statistics_kept(self.module)
        self.kept.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.kept.__exit__(*error)


def _contexts(module: nn.Module) -> tuple[Any, Any]:
    return nullcontext(), _StatisticsKept(module)


def recompute_forward(module: nn.Module) -> None:
    """Let `module` run twice in training, and once anywhere else. Its hooks and its keys stay what they are."""
    # A partial of the module and its method, not a closure: a deep copy of the module runs its own weights.
    module.forward = partial(_forward, module, module.forward)


def _forward(module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if module.training and torch.is_grad_enabled():
        return run_twice(module, forward, *args, **kwargs)
    return forward(*args, **kwargs)
