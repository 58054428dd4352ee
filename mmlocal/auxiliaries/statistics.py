"""Batch norm that is run twice for one batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ['statistics_kept']


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Batch norm as in training, but for its running statistics, which stay."""
    norms = [(m, m.momentum) for m in module.modules() if isinstance(m, _BatchNorm)]
    counts = [
        (m.num_batches_tracked, m.num_batches_tracked.clone()) for m, _ in norms if m.num_batches_tracked is not None
    ]
    for norm, _ in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in norms:
            norm.momentum = momentum
        for count, before in counts:
            count.copy_(before)
