"""Tokens as a map, which is what heads read."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmlocal.blocks import Shape, map_size

__all__ = ['Reader']


class Reader(BaseModule):
    """A feature of any layout as a map (N, C, H, W).

    Tokens with a map size are laid out on it. Of tokens without one, a layer norm and then the class
    token, or where there is none the mean, are read as a map of one pixel, which is the auxiliary of
    MAN++ for ViT, eps of the norm 1e-6 (arXiv 2507.16279, released code).

    Args:
        shape: of the feature.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layout = shape.layout
        self.norm = nn.Identity() if shape.is_map else nn.LayerNorm(shape.channels, eps=1e-6)

    def forward(self, feature: Tensor, further: tuple[Any, ...] = ()) -> Tensor:
        """From (N, C, H, W), (N, H, W, C) or (N, L, C), with (H, W) in `further` where tokens have it, to a map."""
        if self.layout == 'map':
            return feature
        if self.layout == 'map of vectors':
            return feature.permute(0, 3, 1, 2)
        size = map_size(feature, further)
        if self.layout == 'sized tokens' and size is not None:
            return feature.transpose(1, 2).unflatten(2, size)
        read = feature[:, 0] if self.layout == 'class token first' else feature.mean(1)
        normed: Tensor = self.norm(read)
        return normed[:, :, None, None]
