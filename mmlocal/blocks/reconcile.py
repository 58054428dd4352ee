"""Successive gradient reconciliation (SGR): neighbouring blocks that agree on the gradient between them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ['Reconciliation']


class _Entry(NamedTuple):
    """What the running block starts from, and the gradient that the block before it got there."""

    leaf: Tensor
    wanted: Tensor
    weight: float


class Reconciliation:
    """The penalty of one forward: the gradient of a block's loss at its input against that of the block before.

    A block's loss is therefore not taken from a leaf of its output: one backward goes through auxiliary and block.
    Source: SGR (ICML 2024), by its abstract; the form of the distance is an interpretation.
    """

    def __init__(self) -> None:
        self._entry: _Entry | None = None

    @property
    def begun(self) -> bool:
        """Whether the running block is to agree with one before it."""
        return self._entry is not None

    def penalised(self, loss: Tensor, scale: float = 1.0) -> tuple[Tensor, Tensor | None]:
        """A loss of the running block, which `scale` was applied to, with its penalty; and the penalty, unweighted.

        The first block has none.
        """
        if self._entry is None:
            return loss, None
        (found,) = torch.autograd.grad(loss / scale, self._entry.leaf, create_graph=True)
        penalty = _distance(found, self._entry.wanted)
        return loss + scale * self._entry.weight * penalty, penalty.detach()

    def start(self, output: Tensor, wanted: Tensor, weight: float) -> Tensor:
        """The feature that the next block starts from, a leaf; `wanted` is the gradient that this block got there."""
        leaf = output.detach().requires_grad_()
        self._entry = _Entry(leaf, wanted, weight)
        return leaf


def _distance(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared distance between the directions of two gradients, from 0 to 4; differentiable."""
    return (_direction(found) - _direction(wanted)).square().sum()


def _direction(gradient: Tensor) -> Tensor:
    return functional.normalize(gradient.flatten(), dim=0, eps=torch.finfo(gradient.dtype).tiny)
