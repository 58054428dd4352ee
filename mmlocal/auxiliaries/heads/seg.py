"""Local segmentation: a decode head of mmseg on a block's output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmlocal.auxiliaries.pieces import cut
from mmlocal.registry import MODELS

__all__ = ['SegHead']


@MODELS.register_module()
class SegHead(BaseModule):
    """A decode head of mmseg that reads one feature; its logits are resized to the labels' size.

    With `FCNHead` of one convolution this is InfoPro's auxiliary (arXiv 2101.10832, released
    segmentation code), without the decoder.

    Args:
        in_channels: channels of the feature; filled in from the bridge.
        stride: input pixels per pixel of the feature; not used.
        decode_head: config of a decode head of mmseg; `in_channels` and `in_index` are set here.
    """

    needs_map = True
    lays_out = True

    def __init__(self, in_channels: int, stride: float, decode_head: Mapping[str, Any]) -> None:
        super().__init__()
        self.decode_head = MODELS.build({**decode_head, 'in_channels': in_channels, 'in_index': 0})
        losses = self.decode_head.loss_decode
        several = losses if isinstance(losses, nn.ModuleList) else [losses]
        # A mean over the pixels that count couples the images of a batch, and so does a choice of hard ones.
        coupled = any(getattr(loss, 'avg_non_ignore', True) for loss in several)
        self.mean_over_images = not coupled and getattr(self.decode_head, 'sampler', None) is None
        # Of tokens it is not known.
        where = f' at stride {round(stride)}' if stride > 1 else ''
        self.description = f'{type(self.decode_head).__name__}{where}'

    def forward(self, feature: Tensor) -> Tensor:
        """From (N, C, H, W) to the logits (N, classes, H, W)."""
        logits: Tensor = self.decode_head((feature,))
        return logits

    def loss(self, feature: Tensor, inputs: Any, data_samples: Any) -> dict[str, Any]:
        """The decode head's losses at the labels' size; `inputs` are not used."""
        losses: dict[str, Any] = self.decode_head.loss((feature,), data_samples, {})
        return losses

    def crop(self, data_samples: Any, place: Sequence[int]) -> list[Any]:
        """The labels of one patch: `place` is its row and column, and how many a side there are."""
        return [
            SimpleNamespace(gt_sem_seg=SimpleNamespace(data=cut(sample.gt_sem_seg.data, place)))
            for sample in data_samples
        ]
