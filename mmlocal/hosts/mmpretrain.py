"""Classifiers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

from mmlocal.hosts.accounts import DatasetRules, class_folder_account, class_list_faults
from mmlocal.hosts.base import Host, Size, _classes, _images, is_classifier, register_host


@register_host
class MMPretrain(Host):
    """Classifiers with one label an image."""

    name = 'mmpretrain'
    task = 'cls'
    labels: ClassVar = {'head': 'gt_label'}
    datasets: ClassVar = {'CustomDataset.load_data_list': DatasetRules(class_folder_account, class_list_faults)}

    def has(self, cfg: Mapping[str, Any]) -> bool:
        """Whether its head has classes."""
        return is_classifier(cfg)

    def derive_head(self, cfg: Mapping[str, Any]) -> dict[str, Any] | None:
        """A linear head for the classes of its head."""
        return dict(type='mmlocal.ClsHead', cls_head=_linear_for(cfg['model']['head']))

    def derive_merge(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """Pooled features."""
        return dict(type='mmlocal.PooledBank')

    def fits(self, model: Mapping[str, Any]) -> int | None:
        """The classes of its head."""
        return _classes(iter((model['head'],)))

    def generated_batch(self, size: Size, count: int, fits: int) -> dict[str, Any]:
        """Each class in turn."""
        return _classification(size, count, fits)


def _linear_for(head: Mapping[str, Any]) -> dict[str, Any]:
    kept = ('num_classes', 'loss', 'topk')
    own = {name: copy.deepcopy(head[name]) for name in kept if name in head}
    return dict(type='mmpretrain.LinearClsHead', **own)


def _classification(size: Size, count: int, classes: int) -> dict[str, Any]:
    from mmpretrain.structures import DataSample

    samples = [DataSample(metainfo=dict(img_shape=size)).set_gt_label(i % classes) for i in range(count)]
    return dict(inputs=_images(size, count), data_samples=samples)
