"""Detectors of YOLO's kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from mmlocal.hosts.base import Size, _images, register_host
from mmlocal.hosts.mmdet import MMDet


@register_host
class MMYolo(MMDet):
    """As mmdet's; a batch has its boxes in one tensor."""

    name = 'mmyolo'
    purpose = 'YOLO'
    extra = 'yolo'
    refuses_mmcv = True
    loss_heads: ClassVar = {}

    def _fcos(self, classes: int, model: Mapping[str, Any]) -> dict[str, Any]:
        return dict(super()._fcos(classes, model), by_image=True)

    def generated_batch(self, size: Size, count: int, fits: int) -> dict[str, Any]:
        """Boxes of all sizes."""
        return _yolo(size, count, fits)


def _yolo(size: Size, count: int, classes: int) -> dict[str, Any]:
    """As mmyolo's own collate function has it: boxes of the whole batch, each with its image and label."""
    # Of all sizes, as each level takes its own.
    boxes = 4 * count
    side = torch.linspace(0.2, 0.95, boxes)[:, None] * min(size)
    corner = torch.rand(boxes, 2) * (torch.tensor(size[::-1]) - side)
    labels = torch.stack([torch.arange(boxes) % count, torch.arange(boxes) % classes], 1)
    bboxes = torch.cat([labels, corner, corner + side], 1)
    samples = dict(bboxes_labels=bboxes, img_metas=[dict(batch_input_shape=size)] * count)
    return dict(inputs=_images(size, count), data_samples=samples)
