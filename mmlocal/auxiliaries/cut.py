"""A patch of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

__all__ = ['cut']


def cut(image: Any, place: Sequence[int]) -> Any:
    """The patch in `row` and `column` of n x n of a tensor's last two dimensions: `place = (row, column, n)`."""
    if not isinstance(image, Tensor):
        return image
    row, column, n = place
    height, width = image.shape[-2] // n, image.shape[-1] // n
    return image[..., row * height : (row + 1) * height, column * width : (column + 1) * width]
