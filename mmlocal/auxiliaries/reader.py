"""Tokens as a map, which is what heads read."""

from __future__ import annotations

import math
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmlocal.blocks import Shape, map_size
from mmlocal.errors import ConfigError

__all__ = ['Reader', 'grid']

# Tokens before those of the image, at most: class token, one for distillation, registers.
_FURTHER = 8


class Reader(BaseModule):
    """A feature of any layout as a map (N, C, H, W).

    Tokens with a map size are laid out on it. Of tokens without one, a layer norm and then the class
    token, or where there is none the mean, are read as a map of one pixel, which is the auxiliary of
    MAN++ for ViT, eps of the norm 1e-6 (arXiv 2507.16279, released code).

    Args:
        shape: of the feature.
        laid_out: for a head that reads pixels: behind the norm all tokens of the image are laid out as its patches
            are, as the decode heads of ViTs have them.
    """

    def __init__(self, shape: Shape, laid_out: bool = False) -> None:
        super().__init__()
        self.layout = shape.layout
        self.laid_out = laid_out and not shape.is_map
        self.norm = nn.Identity() if shape.is_map else nn.LayerNorm(shape.channels, eps=1e-6)

    def forward(self, feature: Tensor, further: tuple[Any, ...] = (), image: Any = None) -> Tensor:
        """From (N, C, H, W), (N, H, W, C) or (N, L, C), with (H, W) in `further` where tokens have it, to a map.

        Args:
            feature: of the layout that it was made for.
            further: what goes along with it.
            image: the network's input; without one tokens that are laid out are taken for those of a square.
        """
        if self.layout == 'map':
            return feature
        if self.layout == 'map of vectors':
            return feature.permute(0, 3, 1, 2)
        size = map_size(feature, further)
        if self.layout == 'sized tokens' and size is not None:
            return feature.transpose(1, 2).unflatten(2, size)
        if self.laid_out:
            given = (image.shape[-2], image.shape[-1]) if isinstance(image, Tensor) else None
            own, patches = grid(feature.shape[1], given, int(self.layout == 'class token first'))
            tokens: Tensor = self.norm(feature[:, -own:])
            return tokens.transpose(1, 2).unflatten(2, patches)
        read = feature[:, 0] if self.layout == 'class token first' else feature.mean(1)
        normed: Tensor = self.norm(read)
        return normed[:, :, None, None]


def grid(tokens: int, image: tuple[int, int] | None, before: int = 0) -> tuple[int, tuple[int, int]]:
    """How many tokens are patches of the image, and in how many rows and columns they lie.

    Args:
        tokens: of a network, those before the patches included.
        image: height and width; none for a square one.
        before: tokens before the patches, at least.

    Raises:
        ConfigError: if square patches, at the borders padded, do not give that number.

    Example:
        >>> grid(1 + 8 * 4, (128, 64), before=1)
        (32, (8, 4))
    """
    height, width = image or (math.isqrt(tokens - before),) * 2
    found = []
    for side in range(1, max(height, width) + 1):
        rows, columns = math.ceil(height / side), math.ceil(width / side)
        others = tokens - rows * columns
        if before <= others <= _FURTHER:
            found.append((others, bool(height % side or width % side), rows, columns))
    if not found:
        raise ConfigError(f'auxiliary: {tokens} tokens are no square patches of an image of {height}x{width}')
    *_, rows, columns = min(found)
    return rows * columns, (rows, columns)
