"""How much two gradients at the same place disagree."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ['disagreement']


def disagreement(loss: Tensor, start: Tensor, wanted: Tensor) -> Tensor:
    """Squared distance between the directions of the gradient of `loss` at `start` and of `wanted`, from 0 to 4.

    Differentiable. Source: successive gradient reconciliation (SGR, ICML 2024), by its abstract; the form of the
    distance is an interpretation.
    """
    (found,) = torch.autograd.grad(loss, start, create_graph=True)
    return (_direction(found) - _direction(wanted)).square().sum()


def _direction(gradient: Tensor) -> Tensor:
    return functional.normalize(gradient.flatten(), dim=0, eps=torch.finfo(gradient.dtype).tiny)
