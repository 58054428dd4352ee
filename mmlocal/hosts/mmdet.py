"""Detectors."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from mmengine.config import Config
from mmengine.registry import TASK_UTILS

from mmlocal.errors import ConfigError
from mmlocal.hosts.accounts import DatasetRules, coco_account, coco_faults, voc_account
from mmlocal.hosts.base import Host, Size, find_classes, no_head, register_host
from mmlocal.hosts.trial import STRIDE, in_host, trains
from mmlocal.registry import MODELS
from mmlocal.signatures import signature_of

# Convolutions a branch of a local head, at most (MAN++ has two for RetinaNet's).
_CONVS = 2
# FCOS's own settings (arXiv 1904.01355) on one level that sees objects of all sizes, for hosts that have no dense
# head of their own. It has one prediction a pixel where RetinaNet's head has nine.
_FCOS = dict(
    type='mmdet.FCOSHead',
    strides=[8],
    stacked_convs=_CONVS,
    regress_ranges=((-1, 1e8),),
    center_sampling=True,
    norm_on_bbox=True,
    centerness_on_reg=True,
    conv_bias=True,
    bbox_coder=dict(type='mmdet.DistancePointBBoxCoder'),
    loss_cls=dict(type='mmdet.FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
    loss_bbox=dict(type='mmdet.GIoULoss', loss_weight=1.0),
    loss_centerness=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
)
_GROUPS, _FCOS_WIDTH = 32, 256
_TWO_STAGE = (('rpn_head', 'loss_and_predict'), ('roi_head', 'loss'))
# Where detectors have their classes: of boxes, of masks, of things in a panoptic head.
_HEADS = ('bbox_head', 'roi_head', 'mask_head', 'panoptic_head', 'rpn_head')
_CLASSES = ('num_classes', 'num_things_classes')
_BYTE = 255  # the largest class of a label map
_EXAMPLE = "dict(type='mmlocal.DenseDetHead', dense_head=...)"


@register_host
class MMDet(Host):
    """Detectors of one and of two stages, of sets of queries, of points and of masks."""

    name = 'mmdet'
    purpose = 'detection'
    extra = 'det'
    needs_operations = True
    task = 'det'
    light_metrics = True
    labels: ClassVar = dict.fromkeys(('bbox_head', 'mask_head', 'roi_head'), 'gt_instances')
    reads_names = ('language_model',)
    loss_heads: ClassVar = {
        'mmdet.models.detectors.two_stage': _TWO_STAGE,
        'mmdet.models.detectors.trident_faster_rcnn': _TWO_STAGE,
        'mmdet.models.detectors.panoptic_two_stage_segmentor': (*_TWO_STAGE, ('semantic_head', 'loss')),
    }
    datasets: ClassVar = {
        'CocoDataset.load_data_list': DatasetRules(coco_account, coco_faults, 'CocoDataset.parse_data_info'),
        'XMLDataset.load_data_list': DatasetRules(voc_account, parser='XMLDataset.parse_data_info'),
    }
    coco_metrics = ('CocoMetric.compute_metrics',)

    def has(self, cfg: Mapping[str, Any]) -> bool:
        """Whether it has objects to find."""
        return any(slot in cfg['model'] for slot in _HEADS)

    def derive_head(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """Its own dense head with few convolutions, if that trains on few levels from boxes alone; else FCOS's."""
        model = cfg['model']
        dense, classes = model.get('bbox_head'), self.fits(model)
        if classes is None:
            raise no_head(f'none of {", ".join(_HEADS)} has {" or ".join(_CLASSES)}', _EXAMPLE)
        if isinstance(dense, Mapping):
            own = _local(_with_few_convs(dense, cfg), model.get('train_cfg'))
            for head in (own, dict(own, num_levels=2)):  # VFNet's counts on a level behind the first
                if trains(head, cfg, partial(self._boxes, classes), partial(_has_anchors_of, dense)):
                    return head
        return self._fcos(classes, model)

    def _boxes(self, classes: int, size: Size, count: int) -> dict[str, Any]:
        return _without_masks(self.generated_batch(size, count, classes))

    def _fcos(self, classes: int, model: Mapping[str, Any]) -> dict[str, Any]:
        local = _local(_fcos_for(classes, _width(model)), None)
        return dict(local, one_class=True) if _only_proposes(model) else local

    def infer(self, cfg: Config, checkpoint: str, images: list[str], folder: str, device: str) -> None:
        """Boxes and masks, into `vis`; as text into `preds`."""
        from mmdet.apis import DetInferencer

        inferencer = DetInferencer(cfg, checkpoint, device=device, scope=self.name, show_progress=False)
        inferencer(images, out_dir=folder, no_save_pred=False)

    def derive_merge(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """A local pyramid as wide as the neck."""
        return dict(type='mmlocal.PyramidBank', out_channels=_width(cfg['model']))

    def fits(self, model: Mapping[str, Any]) -> int | None:
        """The classes of its objects; one where it only proposes them."""
        if _only_proposes(model):
            return 1
        roi = model.get('roi_head') or {}
        return find_classes([roi.get('bbox_head'), *(model.get(slot) for slot in _HEADS)], _CLASSES)

    def generated_batch(self, size: Size, count: int, fits: int) -> dict[str, Any]:
        """Boxes and masks, as mmdet's own tests have them."""
        return _detection(size, count, fits)

    def fit_batch(self, batch: dict[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
        """Masks where a part of the model speaks of them; proposals where nothing makes any."""
        parts = {name: part for name, part in model.items() if name != 'data_preprocessor'}
        if 'roi_head' in model and 'rpn_head' not in model:
            for sample in batch['data_samples']:
                sample.proposals = type(sample.gt_instances)(bboxes=sample.gt_instances.bboxes.clone())
        return batch if _speaks_of_masks(parts) else _without_masks(batch)


def _speaks_of_masks(config: Any) -> bool:
    if isinstance(config, Mapping):
        return any('mask' in name or _speaks_of_masks(value) for name, value in config.items())
    return isinstance(config, (list, tuple)) and any(map(_speaks_of_masks, config))


def _only_proposes(model: Mapping[str, Any]) -> bool:
    """Whether it finds objects of all classes as one: RPN alone."""
    return 'rpn_head' in model and not any(slot in model for slot in _HEADS[:-1])


def _width(model: Mapping[str, Any]) -> int:
    """What the last part of the neck puts out, if it is of one width."""
    neck = model.get('neck') or ()
    parts = [neck] if isinstance(neck, Mapping) else neck
    widths = [part['out_channels'] for part in parts if isinstance(part.get('out_channels'), int)]
    return widths[-1] if widths else _FCOS_WIDTH


def _fcos_for(classes: int, width: int) -> dict[str, Any]:
    norm = dict(type='GN', num_groups=math.gcd(width, _GROUPS), requires_grad=True)
    return dict(_FCOS, num_classes=classes, in_channels=width, feat_channels=width, norm_cfg=norm)


def _with_few_convs(dense_head: Mapping[str, Any], cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The head with `_CONVS` convolutions where its class takes their number, and it has more."""
    head = copy.deepcopy(dict(dense_head))
    try:
        with in_host(cfg), MODELS.switch_scope_and_registry(None) as registry:
            known = signature_of(registry.get(head['type'])).parameters
    except (KeyError, TypeError, ConfigError):  # which the trial shows, too
        return head
    for name, parameter in known.items():
        number = head.get(name, parameter.default)
        if name.endswith('convs') and isinstance(number, int) and not isinstance(number, bool):
            head[name] = min(number, _CONVS)
    return head


def _has_anchors_of(dense_head: Mapping[str, Any], local: Any) -> bool:
    """Whether a local head has the host's anchors at its stride: those of SSD depend on how many levels there are."""
    config = dense_head.get('anchor_generator') or dense_head.get('prior_generator')
    theirs: Any = TASK_UTILS.build(copy.deepcopy(config)) if config else None
    strides = [stride[0] for stride in theirs.strides] if hasattr(theirs, 'base_anchors') else []
    if STRIDE not in strides:
        return True
    mine = local.dense_head.prior_generator.base_anchors[0]
    return torch.equal(theirs.base_anchors[strides.index(STRIDE)], mine)


def _local(dense_head: dict[str, Any], train_cfg: Mapping[str, Any] | None) -> dict[str, Any]:
    local = dict(type='mmlocal.DenseDetHead', dense_head=dense_head)
    return local if train_cfg is None else dict(local, train_cfg=copy.deepcopy(dict(train_cfg)))


def _detection(size: Size, count: int, classes: int) -> dict[str, Any]:
    from mmdet.testing import demo_mm_inputs

    batch: dict[str, Any] = demo_mm_inputs(
        count,
        image_shapes=[[3, *size]] * count,
        num_items=[4] * count,
        num_classes=max(2, classes),  # it has no label 0
        with_mask=True,
        with_semantic=classes <= _BYTE,
    )
    for sample in batch['data_samples'] if classes == 1 else ():
        sample.gt_instances.labels.zero_()
    return batch


def _without_masks(batch: dict[str, Any]) -> dict[str, Any]:
    for sample in batch['data_samples'] if isinstance(batch['data_samples'], list) else ():
        if 'masks' in sample.gt_instances:
            del sample.gt_instances.masks
    return batch
