"""Local classification: a head of mmpretrain on a block's pooled output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmlocal.errors import ConfigError, nearest
from mmlocal.registry import MODELS

__all__ = ['LAYERS', 'ClsHead']

LAYERS = ('0c1f', '0c2f', '1c1f', '1c2f', '1c3f', '2c2f')
_WIDEST = 64


@MODELS.register_module()
class ClsHead(BaseModule):
    """Convolutions, global average pooling, linear layers, and a classification head of mmpretrain with its loss.

    `layers` counts convolutions and linear layers, the head's own included: `0c1f` is greedy learning's
    linear head, `1c2f` InfoPro's, `2c2f` MAN's. The first convolution doubles channels below 64 and
    halves the map then; a second one keeps both. All have batch norm and ReLU, hidden linear layers ReLU.
    Source: `AuxClassifier` of InfoPro's and MAN's released code (arXiv 2101.10832, 2407.05623).

    Args:
        in_channels: channels of the feature; filled in from the bridge.
        stride: input pixels per pixel of the feature; not used.
        cls_head: config of a head of mmpretrain; its `in_channels` are set here. Without an `init_cfg` its layer starts
            as torch's do, which is what the released codes have; mmpretrain's own start is narrower.
        layers: one of `LAYERS`.
        widen: factor of the convolutions' and the hidden layers' width.
        feature_dim: width of the hidden linear layers, before `widen`.

    Raises:
        ConfigError: if `layers` is unknown.
    """

    mean_over_images = True

    def __init__(
        self,
        in_channels: int,
        stride: float,
        cls_head: Mapping[str, Any],
        layers: str = '0c1f',
        widen: int = 1,
        feature_dim: int = 128,
    ) -> None:
        super().__init__()
        self.layers, width = read_out(in_channels, layers, widen, feature_dim)
        self.cls_head = MODELS.build({'init_cfg': None, **cls_head, 'in_channels': width})
        self.description = f'{layers}, {type(self.cls_head).__name__}'

    def forward(self, feature: Tensor) -> Tensor:
        """From (N, C, H, W) to the scores (N, classes)."""
        scores: Tensor = self.cls_head((self.layers(feature),))
        return scores

    def loss(self, feature: Tensor, inputs: Any, data_samples: Any) -> dict[str, Any]:
        """The head's losses; `inputs` are not used."""
        losses: dict[str, Any] = self.cls_head.loss((self.layers(feature),), data_samples)
        return losses

    def loss_of(self, scores: Tensor, data_samples: Any) -> dict[str, Any]:
        """The head's losses of scores (N, classes) that were averaged over patches."""
        losses: dict[str, Any] = self.cls_head._get_loss(scores, data_samples)
        return losses


def read_out(in_channels: int, layers: str, widen: int, feature_dim: int) -> tuple[nn.Module, int]:
    """The layers before the last linear one, from (N, C, H, W) to (N, D), and D.

    Raises:
        ConfigError: if `layers` is unknown.
    """
    if layers not in LAYERS:
        raise ConfigError(f'layers = {layers!r} is not one of {", ".join(LAYERS)}.{nearest(str(layers), LAYERS)}')
    num_convs, num_linear = int(layers[0]), int(layers[2])
    width = max(in_channels, min(2 * in_channels, _WIDEST)) * widen if num_convs else in_channels
    convs = [_conv(in_channels, width, 2 if in_channels < _WIDEST else 1)] * min(1, num_convs)
    convs += [_conv(width, width, 1) for _ in range(num_convs - 1)]
    hidden = feature_dim * widen
    linear = [_linear(width if i == 0 else hidden, hidden) for i in range(num_linear - 1)]
    return nn.Sequential(*convs, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *linear), hidden if linear else width


def _conv(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    conv: nn.Module = ConvModule(
        in_channels, out_channels, 3, stride=stride, padding=1, norm_cfg=dict(type='BN'), bias=False
    )
    return conv


def _linear(in_features: int, out_features: int) -> nn.Module:
    return nn.Sequential(nn.Linear(in_features, out_features), nn.ReLU(inplace=True))
