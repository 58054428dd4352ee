"""Terms of a loss, added up and propagated: the same for local losses and for those of a model's own heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ['Losses', 'backward', 'mean_of', 'total_of']

# By name, as a head gives them: a tensor, or a list of tensors (one a level).
Losses = Mapping[str, Any]


def mean_of(value: Any) -> Tensor:
    """One term as `BaseModel.parse_losses` counts it: the mean of a tensor, the sum of the means of a list."""
    return value.mean() if isinstance(value, Tensor) else torch.stack([one.mean() for one in value]).sum()


def total_of(losses: Losses) -> Tensor | None:
    """What is trained, as in `BaseModel.parse_losses`: the sum of the terms whose name contains `loss`, if any."""
    total: Tensor | None = None
    for value in (mean_of(value) for name, value in losses.items() if 'loss' in name):
        total = value if total is None else total + value
    return total


def backward(
    outputs: Tensor | Sequence[Tensor],
    gradients: Tensor | Sequence[Tensor] | None = None,
    retain_graph: bool = False,
) -> None:
    """`torch.autograd.backward`, without autocast: the forward of a mixed-precision step is under it."""
    first = outputs if isinstance(outputs, Tensor) else outputs[0]
    with torch.autocast(first.device.type, enabled=False):
        torch.autograd.backward(outputs, gradients, retain_graph=retain_graph)
