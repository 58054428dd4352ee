"""The local classifier of decoupled greedy learning: convolutions on a small map, then a perceptron."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmlocal.registry import MODELS

__all__ = ['DGLHead']


@MODELS.register_module()
class DGLHead(BaseModule):
    """Pooling, three 1x1 convolutions, pooling, a perceptron of three layers, and a head of mmpretrain.

    DGL's "MLP-SR" (arXiv 1901.08164, released code) pools to a quarter of the side, keeps the channels, and pools
    to 2x2. MAN++'s form (arXiv 2507.16279, released code) is `size=8, channels=128, last_size=1`. The perceptron's
    layers are four times as wide as the convolutions. All have batch norm and ReLU.

    Args:
        in_channels: channels of the feature; filled in from the bridge.
        stride: not used.
        cls_head: config of a head of mmpretrain; its `in_channels` are set here. Without an `init_cfg` its layer starts
            as torch's do, which is what the released codes have; mmpretrain's own start is narrower.
        size: side of the pooled map; a quarter of the feature's, rounded up, if not given.
        channels: of the convolutions; those of the feature, if not given.
        last_size: side of the map that the perceptron reads.
    """

    mean_over_images = True

    def __init__(
        self,
        in_channels: int,
        stride: float,
        cls_head: Mapping[str, Any],
        size: int | None = None,
        channels: int | None = None,
        last_size: int = 2,
    ) -> None:
        super().__init__()
        self.size, self.last_size = size, last_size
        width = channels or in_channels
        norm = dict(type='BN')
        self.convs = nn.Sequential(
            *(ConvModule(in_channels if i == 0 else width, width, 1, norm_cfg=norm, bias=False) for i in range(3))
        )
        flat, hidden = width * last_size**2, 4 * width
        self.perceptron = nn.Sequential(*(_layer(flat if i == 0 else hidden, hidden) for i in range(3)))
        self.cls_head = MODELS.build({'init_cfg': None, **cls_head, 'in_channels': hidden})
        self.description = f'DGL, {type(self.cls_head).__name__}'

    def features(self, feature: Tensor) -> Tensor:
        """From (N, C, H, W) to what the last linear layer reads (N, D)."""
        size = self.size or (math.ceil(feature.shape[-2] / 4), math.ceil(feature.shape[-1] / 4))
        mapped = self.convs(functional.adaptive_avg_pool2d(feature, size))
        read: Tensor = self.perceptron(functional.adaptive_avg_pool2d(mapped, self.last_size).flatten(1))
        return read

    def forward(self, feature: Tensor) -> Tensor:
        """From (N, C, H, W) to the scores (N, classes)."""
        scores: Tensor = self.cls_head((self.features(feature),))
        return scores

    def loss(self, feature: Tensor, inputs: Any, data_samples: Any) -> dict[str, Any]:
        """The head's losses; `inputs` are not used."""
        losses: dict[str, Any] = self.cls_head.loss((self.features(feature),), data_samples)
        return losses

    def loss_of(self, scores: Tensor, data_samples: Any) -> dict[str, Any]:
        """The head's losses of scores (N, classes) that were averaged over patches."""
        losses: dict[str, Any] = self.cls_head._get_loss(scores, data_samples)
        return losses


def _layer(in_features: int, out_features: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(in_features, out_features, bias=False), nn.BatchNorm1d(out_features), nn.ReLU(inplace=True)
    )
