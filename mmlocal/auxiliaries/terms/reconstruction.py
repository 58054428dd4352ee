"""Reconstruction of the input image from a block's output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmlocal.auxiliaries.terms.resized_conv import resized_conv
from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS

__all__ = ['Reconstruction']


# Hidden widths by the number of doublings.
_WIDTHS = {0: (12,), 1: (12,), 2: (32, 12), 3: (128, 32, 12), 4: (192, 64, 32, 12), 5: (192, 128, 64, 32, 12)}


@MODELS.register_module()
class Reconstruction(BaseModule):
    """A decoder to the network's input in [0, 1], and binary cross-entropy against it: InfoPro's information term.

    Two published forms, both bilinear with aligned corners. For thumbnails: resized to the input, then
    `conv3x3 -> widths[0]`, batch norm, ReLU, `conv3x3 -> image`. By steps: `conv1x1 -> widths[0]`, then a doubling
    and a convolution for each further width and for the image, the last three of them 3x3. A sigmoid.
    Source: InfoPro, MAN and HPFF, released code (arXiv 2101.10832, 2407.05623, 2407.05638).

    Args:
        in_channels: channels of the feature; filled in from the bridge.
        stride: input pixels per pixel of the feature; filled in from the bridge.
        widths: of the hidden convolutions. If not given (12,) at once, and by steps (128, 32, 12) at stride 8 and
            (192, 64, 32, 12) at stride 16, as published; other strides are an interpretation.
        by_steps: double step by step, instead of resizing at once. If not given, for strides above 4 and more than 64
            channels, which no network for thumbnails has.
        mean: of the data preprocessor, one value a channel; filled in by `localize`.
        std: of the data preprocessor.
        scale: of an image before the preprocessor.
        loss_weight: a number, a pair or a mapping, as in `Auxiliary`.

    Raises:
        ConfigError: if the widths are not enough for the stride.
    """

    needs_map = True
    mean_over_images = True
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        in_channels: int,
        stride: float,
        widths: Sequence[int] | None = None,
        by_steps: bool | None = None,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        scale: float = 255.0,
        loss_weight: float | Sequence[float] | Mapping[str, float] = 1.0,
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.scale = scale
        self.stride = stride
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float).view(1, -1, 1, 1), persistent=False)
        doublings = math.log2(stride) if stride > 0 else 0.0
        self.by_steps = (stride > 4 or in_channels > 64) and doublings.is_integer() if by_steps is None else by_steps
        steps = round(doublings) if self.by_steps else 0
        hidden = tuple(widths or _WIDTHS.get(steps, (12,)))
        if steps > len(hidden):
            raise ConfigError(
                f'widths = {hidden}: {len(hidden)} hidden convolutions cannot double a map of stride {stride:g} to '
                f'the image by steps; give {steps}'
            )
        self.layers = _decoder([in_channels, *hidden, len(mean)], steps)

    def target(self, inputs: Tensor) -> Tensor:
        """The input before the data preprocessor, in [0, 1]."""
        mean, std = self.mean.to(inputs), self.std.to(inputs)
        return ((inputs * std + mean) / self.scale).clamp(0, 1)

    def forward(self, feature: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """From (N, C, H, W) to the logits of an image of `size`, by default (N, 3, H * stride, W * stride)."""
        height, width = feature.shape[-2:]
        wanted = size or (round(height * self.stride), round(width * self.stride))
        logits: Tensor
        if self.by_steps or wanted == (height, width):
            logits = self.layers(feature)
        else:
            first: Any = self.layers[0]
            logits = self.layers[1:](first.activate(first.norm(resized_conv(feature, first.conv.weight, wanted))))
        if logits.shape[-2:] == wanted:
            return logits
        return functional.interpolate(logits, wanted, mode='bilinear', align_corners=True)

    def loss(self, feature: Tensor, inputs: Tensor, data_samples: Any) -> Tensor:
        """Mean binary cross-entropy; `data_samples` are not used."""
        height, width = inputs.shape[-2:]
        logits = self(feature, (height, width))
        return functional.binary_cross_entropy_with_logits(logits, self.target(inputs))


def _decoder(channels: Sequence[int], doublings: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    count = len(channels) - 1
    for i, (before, after) in enumerate(pairwise(channels)):
        if i >= count - doublings:
            layers.append(nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True))
        kernel = 3 if i >= count - 3 and (i > 0 or not doublings) else 1
        norm = {} if i == count - 1 else dict(norm_cfg=dict(type='BN'))
        act = dict(act_cfg=dict(type='ReLU') if norm else None)
        layers.append(ConvModule(before, after, kernel, padding=kernel // 2, **norm, **act))
    return nn.Sequential(*layers)
