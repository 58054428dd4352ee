"""Local classification: a head of mmpretrain on a block's pooled output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from mmlocal.registry import MODELS

__all__ = ['ClsHead']


@MODELS.register_module()
class ClsHead(BaseModule):
    """Global average pooling and a classification head of mmpretrain with its own loss.

    With a linear head this is greedy learning's auxiliary (`0c1f`; arXiv 2101.10832, released code).

    Args:
        in_channels: channels of the feature; filled in from the bridge.
        stride: input pixels per pixel of the feature; not used.
        cls_head: config of a head of mmpretrain; its `in_channels` are set here.
    """

    def __init__(self, in_channels: int, stride: float, cls_head: Mapping[str, Any]) -> None:
        super().__init__()
        self.cls_head = MODELS.build({**cls_head, 'in_channels': in_channels})
        self.description = f'{type(self.cls_head).__name__} on the pooled feature'

    def forward(self, feature: Tensor) -> Tensor:
        """From (N, C, H, W) to the scores (N, classes)."""
        scores: Tensor = self.cls_head((feature.mean((2, 3)),))
        return scores

    def loss(self, feature: Tensor, inputs: Any, data_samples: Any) -> dict[str, Any]:
        """The head's losses; `inputs` are not used."""
        losses: dict[str, Any] = self.cls_head.loss((feature.mean((2, 3)),), data_samples)
        return losses
