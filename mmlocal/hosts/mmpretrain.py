"""Classifiers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

from mmengine.config import Config

from mmlocal.hosts.accounts import DatasetRules, class_folder_account, class_list_faults
from mmlocal.hosts.base import Host, Size, _images, find_classes, no_head, register_host
from mmlocal.hosts.trial import in_host
from mmlocal.registry import MODELS

# The linear head of mmpretrain for each of its kinds of heads, by their base.
_SEVERAL = 'MultiLabelClsHead'
_LINEAR = {_SEVERAL: 'MultiLabelLinearClsHead', 'ClsHead': 'LinearClsHead'}
_EXAMPLE = "dict(type='mmlocal.ClsHead', cls_head=...)"


@register_host
class MMPretrain(Host):
    """Classifiers."""

    name = 'mmpretrain'
    purpose = 'classification'
    extra = 'cls'
    task = 'cls'
    light_metrics = True
    data_preprocessor = 'ClsDataPreprocessor'
    labels: ClassVar = {'head': 'gt_label'}
    datasets: ClassVar = {'CustomDataset.load_data_list': DatasetRules(class_folder_account, class_list_faults)}

    def has(self, cfg: Mapping[str, Any]) -> bool:
        """Whether it has a head, as detectors and segmentors have none of that name."""
        return isinstance(cfg['model'].get('head'), Mapping)

    def derive_head(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """A linear head for its classes, which its head or its network holds."""
        return dict(type='mmlocal.ClsHead', cls_head=linear_for(cfg))

    def infer(self, cfg: Config, checkpoint: str, images: list[str], folder: str, device: str) -> None:
        """The class and its score on the image."""
        from mmpretrain.apis import ImageClassificationInferencer

        ImageClassificationInferencer(cfg, pretrained=checkpoint, device=device)(images, show_dir=folder)

    def derive_merge(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """Pooled features."""
        return dict(type='mmlocal.PooledBank')

    def fits(self, model: Mapping[str, Any]) -> int | None:
        """Its classes."""
        return find_classes([model['head'], model.get('backbone')])

    def generated_batch(self, size: Size, count: int, fits: int) -> dict[str, Any]:
        """Each class in turn."""
        return _classification(size, count, fits)


def linear_for(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """A linear head of the kind of the host's: for one label an image, or for several.

    Raises:
        ConfigError: if there are no classes, or the kind of its labels is not known.
    """
    model = cfg['model']
    head, classes = model['head'], find_classes([model['head'], model.get('backbone')])
    if classes is None:
        raise no_head(f'neither model.head nor model.backbone has num_classes ({_kind(cfg)})', _EXAMPLE)
    # What is no class at all is told by those who look at the head itself.
    bases = _bases(cfg, head) or ['ClsHead']
    kind = next((kind for base, kind in _LINEAR.items() if base in bases), None)
    if kind is None:
        raise no_head(f'what labels {head.get("type")!r} takes is not known', _EXAMPLE)
    own = {name: copy.deepcopy(head[name]) for name in ('loss', 'topk', 'thr') if name in head}
    return dict(type=f'mmpretrain.{kind}', num_classes=classes, **own)


def has_several_labels(cfg: Mapping[str, Any]) -> bool:
    """Whether an image has any number of labels."""
    return _SEVERAL in _bases(cfg, cfg['model']['head'])


def _kind(cfg: Mapping[str, Any]) -> str:
    """What a model without classes learns from."""
    if 'BaseSelfSupervisor' in _bases(cfg, cfg['model']):
        return f'{cfg["model"]["type"]} learns from images without labels'
    return f'{cfg["model"].get("type")} is no classifier'


def _bases(cfg: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Names of a component's class and of those that it derives from; none if nobody knows it."""
    with in_host(cfg), MODELS.switch_scope_and_registry(None) as registry:
        found = registry.get(config['type']) if isinstance(config.get('type'), str) else config.get('type')
    return [base.__name__ for base in getattr(found, '__mro__', ())]


def _classification(size: Size, count: int, classes: int) -> dict[str, Any]:
    from mmpretrain.structures import DataSample

    samples = [DataSample(metainfo=dict(img_shape=size)).set_gt_label(i % classes) for i in range(count)]
    return dict(inputs=_images(size, count), data_samples=samples)
