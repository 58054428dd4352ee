"""A part of a batch: some of its images, or a patch of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

__all__ = ['Piece', 'chunks', 'cut']


def cut(image: Any, place: Sequence[int]) -> Any:
    """The patch in `row` and `column` of n x n of a tensor's last two dimensions: `place = (row, column, n)`."""
    if not isinstance(image, Tensor):
        return image
    row, column, n = place
    height, width = image.shape[-2] // n, image.shape[-1] // n
    return image[..., row * height : (row + 1) * height, column * width : (column + 1) * width]


class Piece:
    """A part of a block's output as a leaf of its own.

    A view's gradient is as large as what it is a view of; a leaf's is as large as the leaf.

    Args:
        feature: the block's output, a leaf.
        take: gives the part of a tensor like it, as a view.
    """

    def __init__(self, feature: Tensor, take: Callable[[Tensor], Tensor]) -> None:
        self.feature, self.take = feature, take
        self.leaf = take(feature).detach().requires_grad_()

    def give_back(self) -> None:
        """Add the leaf's gradient to the block's, in its place."""
        if self.leaf.grad is None:
            return
        if self.feature.grad is None:
            self.feature.grad = torch.zeros_like(self.feature)
        self.take(self.feature.grad).add_(self.leaf.grad)
        self.leaf.grad = None


def chunks(feature: Tensor, count: int) -> Iterator[tuple[Piece, slice]]:
    """Some images after the other: at most `count` pieces, and which images each has."""
    total = feature.shape[0]
    size = -(-total // count)
    for first in range(0, total, size):
        chosen = slice(first, min(first + size, total))
        yield Piece(feature, itemgetter(chosen)), chosen
