"""A convolution behind a bilinear resize, computed at the resolution before it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ['resized_conv']


def resized_conv(feature: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
    """`conv3x3(resize(feature))` with zero padding, the resize bilinear with aligned corners.

    A resize is linear and the same for every channel, so the channels are mixed first, at the lower resolution and once
    for each of the nine taps, and each tap's map is then resized and shifted, by one matrix a side. The same numbers to
    rounding; the resized feature, in general the largest tensor of a decoder, is never there.

    Args:
        feature: (N, C, h, w).
        weight: (D, C, 3, 3).
        size: (H, W).

    Returns:
        (N, D, H, W).

    Example:
        >>> x, weight = torch.randn(2, 4, 3, 5), torch.randn(6, 4, 3, 3)
        >>> resized = functional.interpolate(x, (8, 7), mode='bilinear', align_corners=True)
        >>> direct = functional.conv2d(resized, weight, padding=1)
        >>> bool(torch.allclose(resized_conv(x, weight, (8, 7)), direct, atol=1e-4))
        True
    """
    width, channels = weight.shape[:2]
    taps = functional.conv2d(feature, weight.permute(2, 3, 0, 1).reshape(9 * width, channels, 1, 1))
    n, _, h, w = taps.shape
    across, down = _shifted(w, size[1], taps), _shifted(h, size[0], taps)
    # Sum over the taps of a row and their columns, then over the rows.
    rows = taps.view(n, 3, 3, width, h, w).permute(0, 1, 3, 4, 2, 5).reshape(-1, 3 * w) @ across.T
    stacked = rows.view(n, 3, width, h, size[1]).transpose(1, 2).reshape(n * width, 3 * h, size[1])
    return (down @ stacked).view(n, width, *size)


def _shifted(before: int, after: int, like: Tensor) -> Tensor:
    """The resize of a side as a matrix, shifted by -1, 0 and 1 with zeros behind the border: (after, 3 * before)."""
    unit = torch.eye(before, dtype=like.dtype, device=like.device)[None]
    matrix = functional.interpolate(unit, after, mode='linear', align_corners=True)[0].T
    padded = functional.pad(matrix, (0, 0, 1, 1))
    return torch.cat([padded[shift : shift + after] for shift in range(3)], 1)
