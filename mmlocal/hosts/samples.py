"""What the hosts' data samples have in them: labels, tensors, where an image is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmlocal.errors import ConfigError

__all__ = ['boxes_by_image', 'images_of', 'labels_of', 'of_one_class']

_BOX_ROW = 6  # mmyolo's: image, label, and two corners
# What data samples say of where an image is from, in the order in which hosts have it.
_ORIGINS = ('img_path', 'gt_path', 'gt_img_path', 'sample_idx', 'img_id')


def images_of(batch: Any, chosen: slice) -> Any:
    """Some images of a batch's tensor, its list of annotations, or mmagic's one annotation for all of them."""
    if isinstance(batch, (Tensor, list)):
        return batch[chosen]
    if hasattr(batch, 'gt_img'):
        return SimpleNamespace(gt_img=batch.gt_img[chosen])
    return batch


def boxes_by_image(batch: Any) -> list[Any]:
    """mmdet's data samples, with boxes and labels, of mmyolo's one tensor: rows of image, label, corners.

    Raises:
        ConfigError: if the boxes are no upright rectangles.
    """
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    if not isinstance(batch, Mapping):
        return list(batch)
    rows = batch['bboxes_labels']
    if rows.shape[1] != _BOX_ROW:
        raise ConfigError(f'auxiliary: boxes of {rows.shape[1] - 2} numbers: the local head takes upright rectangles')
    samples = []
    for i, meta in enumerate(batch['img_metas']):
        own = rows[rows[:, 0] == i]
        boxes = InstanceData(bboxes=own[:, 2:], labels=own[:, 1].long())
        samples.append(DetDataSample(metainfo=dict(meta), gt_instances=boxes))
    return samples


def of_one_class(samples: Sequence[Any]) -> list[Any]:
    """mmdet's data samples with objects of one class, as an RPN sees them."""
    found = []
    for sample in samples:
        instances = sample.gt_instances.clone()
        instances.labels = torch.zeros_like(instances.labels)
        one = sample.clone()
        one.gt_instances = instances
        found.append(one)
    return found


def labels_of(data_samples: Sequence[Any] | None) -> Tensor:
    """The label of each image (N,), from mmpretrain's data samples.

    Raises:
        ConfigError: if an image has no label, or several.
    """
    labels = [getattr(sample, 'gt_label', None) for sample in data_samples or ()]
    if not labels or any(label is None or label.numel() != 1 for label in labels):
        raise ConfigError('auxiliary: this method compares labels, and the images have no single label each')
    return torch.cat([label.flatten() for label in labels if label is not None])


def _listed(samples: Any) -> list[Any]:
    """Annotations image by image; mmagic hands them over as one element."""
    if samples is None:
        return []
    split = getattr(samples, 'split', None)
    return list(split() if callable(split) else samples)


def _tensors(value: Any) -> list[Tensor]:
    return list(_walk(value))


def _walk(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, BaseDataElement):
        for inner in value.values():
            yield from _walk(inner)
    elif isinstance(getattr(value, 'tensor', None), Tensor):  # mmdet's boxes
        yield value.tensor


def _origin(sample: Any, i: int) -> str:
    found = (sample.get(key) for key in _ORIGINS) if isinstance(sample, BaseDataElement) else ()
    return next((str(value) for value in found if value is not None), f'image {i}')
