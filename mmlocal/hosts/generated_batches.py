"""Random images with annotations in the form of a host: for measuring a training step, not for training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mmlocal.errors import ConfigError

__all__ = ['generated_batch', 'what_fits']

Size = tuple[int, int]


def generated_batch(scope: str, size: Size, count: int, fits: int) -> dict[str, Any]:
    """A batch as the data loader of a host has it, before the data preprocessor.

    Args:
        scope: `mmdet`, `mmyolo`, `mmpretrain`, `mmseg` or `mmagic`.
        size: height and width of the images.
        count: images.
        fits: number of classes; for restoration the scale.

    Raises:
        ConfigError: if there is none for this host.

    Example:
        >>> batch = generated_batch('mmpretrain', (8, 12), count=3, fits=10)
        >>> batch['inputs'].shape, len(batch['data_samples'])
        (torch.Size([3, 3, 8, 12]), 3)
    """
    if scope not in _MAKERS:
        raise ConfigError(f'default_scope = {scope!r}: no images can be generated but for {", ".join(_MAKERS)}')
    return _MAKERS[scope](size, count, fits)


def what_fits(model: Mapping[str, Any]) -> int:
    """What a generated batch has to fit: the scale of a restoration model, the classes of any other.

    Raises:
        ConfigError: if the model's config says neither.
    """
    generator = model.get('generator')
    if generator:
        return int(generator.get('upscale_factor') or generator.upscale)
    roi = model.get('roi_head', {}).get('bbox_head')
    slots = (model.get('bbox_head'), model.get('bbox_head', {}).get('head_module'), roi, model.get('decode_head'))
    for head in (*slots, model.get('head')):
        last = head[-1] if isinstance(head, (list, tuple)) else head
        if last and 'num_classes' in last:
            return int(last['num_classes'])
    raise ConfigError('model: no head has num_classes, and there is no generator: no images can be generated for it')


def _images(size: Size, count: int) -> Tensor:
    return torch.randint(0, 255, (count, 3, *size), dtype=torch.uint8)


def _detection(size: Size, count: int, classes: int) -> dict[str, Any]:
    from mmdet.testing import demo_mm_inputs

    batch: dict[str, Any] = demo_mm_inputs(
        count, image_shapes=[[3, *size]] * count, num_items=[4] * count, num_classes=classes, with_mask=True
    )
    return batch


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


def _restoration(size: Size, count: int, scale: int) -> dict[str, Any]:
    from mmagic.structures import DataSample

    target = (3, size[0] * scale, size[1] * scale)
    samples = [DataSample(gt_img=torch.randint(0, 255, target)) for _ in range(count)]
    return dict(inputs=list(_images(size, count)), data_samples=samples)


def _classification(size: Size, count: int, classes: int) -> dict[str, Any]:
    from mmpretrain.structures import DataSample

    samples = [DataSample(metainfo=dict(img_shape=size)).set_gt_label(i % classes) for i in range(count)]
    return dict(inputs=_images(size, count), data_samples=samples)


def _segmentation(size: Size, count: int, classes: int) -> dict[str, Any]:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    samples = []
    for _ in range(count):
        labels = torch.randint(0, classes, (1, *size))
        labels[:, : size[0] // 16] = 255
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    return dict(inputs=list(_images(size, count)), data_samples=samples)


_MAKERS: dict[str, Callable[[Size, int, int], dict[str, Any]]] = dict(
    mmdet=_detection,
    mmyolo=_yolo,
    mmpretrain=_classification,
    mmseg=_segmentation,
    mmagic=_restoration,
)
