"""Local restoration: convolutions and pixel shuffle from a block's output to the restored image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmlocal.auxiliaries.pieces import cut
from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS

__all__ = ['RestorationHead']


@MODELS.register_module()
class RestorationHead(BaseModule):
    """3x3 convolutions, pixel shuffle to the host's scale, a 3x3 convolution to an image, a pixel loss.

    Source: the feature bank paper's early prototype (arXiv 2406.00446, released code for EDSR: three
    convolutions, upsampling, a convolution, the mean added; no activations).

    Args:
        in_channels: channels of the feature; filled in from the bridge.
        stride: input pixels per pixel of the feature; filled in from the bridge.
        pixel_loss: config of a loss of two images, as the host's `pixel_loss`.
        scale: how much larger the host's output is than its input: 1, 3 or a power of 2.
        num_convs: convolutions before the upsampling.
        mid_channels: their width, and that of the upsampling.
        mean: of the images, one value a channel; added to what the convolutions put out.

    Raises:
        ConfigError: if the upsampling is by neither 3 nor a power of 2.
    """

    needs_map = True
    mean_over_images = True
    mean: Tensor

    def __init__(
        self,
        in_channels: int,
        stride: float,
        pixel_loss: Mapping[str, Any],
        scale: int,
        num_convs: int = 3,
        mid_channels: int = 64,
        mean: Sequence[float] = (0.4488, 0.4371, 0.4040),
    ) -> None:
        super().__init__()
        total = round(scale * stride)
        widths = [in_channels, *[mid_channels] * num_convs]
        convs = [nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths)]
        width = widths[-1]
        self.convs = nn.Sequential(*convs, *_upsampling(width, total), nn.Conv2d(width, len(mean), 3, padding=1))
        self.register_buffer('mean', torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.pixel_loss = MODELS.build(dict(pixel_loss))
        self.description = f'{num_convs} convolutions and pixel shuffle to x{total}'

    def forward(self, feature: Tensor) -> Tensor:
        """From (N, C, H, W) to the image (N, 3, H * stride * scale, W * stride * scale)."""
        image: Tensor = self.convs(feature) + self.mean
        return image

    def loss(self, feature: Tensor, inputs: Any, data_samples: Any) -> dict[str, Any]:
        """The pixel loss against `data_samples.gt_img`; `inputs` are not used."""
        target = data_samples.gt_img
        # A network may have padded its input (SwinIR), at the right and at the bottom.
        image = self(feature)[..., : target.shape[-2], : target.shape[-1]]
        return dict(loss_pixel=self.pixel_loss(image, target))

    def crop(self, data_samples: Any, place: Sequence[int]) -> Any:
        """The target of one patch: `place` is its row and column, and how many a side there are."""
        return SimpleNamespace(gt_img=cut(data_samples.gt_img, place))


def _upsampling(channels: int, total: int) -> list[nn.Module]:
    twice = int(math.log2(total)) if total > 0 else 0
    if total != 3 and 2**twice != total:
        raise ConfigError(f'scale: the feature is to be upsampled by {total}, which is neither 3 nor a power of 2')
    factors = [3] if total == 3 else [2] * twice
    return [
        module
        for factor in factors
        for module in (nn.Conv2d(channels, channels * factor**2, 3, padding=1), nn.PixelShuffle(factor))
    ]
