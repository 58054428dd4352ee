"""Detectors."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from mmlocal.hosts.accounts import DatasetRules, coco_account, coco_faults, voc_account
from mmlocal.hosts.base import Host, Size, _classes, _last, register_host

# FCOS's own settings (arXiv 1904.01355) on one level that sees objects of all sizes, for hosts whose
# dense head knows no classes. It has one prediction a pixel where RetinaNet's head has nine.
_FCOS = dict(
    type='mmdet.FCOSHead',
    strides=[8],
    regress_ranges=((-1, 1e8),),
    center_sampling=True,
    norm_on_bbox=True,
    centerness_on_reg=True,
    conv_bias=True,
    loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
    loss_bbox=dict(type='GIoULoss', loss_weight=1.0),
    loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
)
_GROUPS = 32
_TWO_STAGE = (('rpn_head', 'loss_and_predict'), ('roi_head', 'loss'))


@register_host
class MMDet(Host):
    """Detectors of one and of two stages."""

    name = 'mmdet'
    task = 'det'
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
        """Whether it has boxes to find."""
        return 'bbox_head' in cfg['model'] or 'roi_head' in cfg['model']

    def derive_head(self, cfg: Mapping[str, Any]) -> dict[str, Any] | None:
        """A dense head that knows the classes, with two convolutions a branch; FCOS's head for two stages."""
        model = cfg['model']
        dense, roi = model.get('bbox_head'), model.get('roi_head')
        if isinstance(dense, Mapping) and 'num_classes' in {**dense, **dense.get('head_module', {})}:
            return _local(dict(dense), model.get('train_cfg'))
        if isinstance(roi, Mapping) and 'bbox_head' in roi:
            return _local(_fcos_for(_last(roi['bbox_head']), model), None)
        return None

    def derive_merge(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """A local pyramid as wide as the neck."""
        neck = cfg['model'].get('neck') or {}
        own = {'out_channels': neck['out_channels']} if isinstance(neck.get('out_channels'), int) else {}
        return dict(type='mmlocal.PyramidBank', **own)

    def fits(self, model: Mapping[str, Any]) -> int | None:
        """The classes of its boxes."""
        roi = model.get('roi_head', {}).get('bbox_head')
        return _classes(iter((model.get('bbox_head'), model.get('bbox_head', {}).get('head_module'), roi)))

    def generated_batch(self, size: Size, count: int, fits: int) -> dict[str, Any]:
        """Boxes and masks, as mmdet's own tests have them."""
        return _detection(size, count, fits)


def _fcos_for(last: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    width = (model.get('neck') or {}).get('out_channels', 256)
    norm = dict(type='GN', num_groups=math.gcd(width, _GROUPS), requires_grad=True)
    return dict(_FCOS, num_classes=last['num_classes'], in_channels=width, feat_channels=width, norm_cfg=norm)


def _local(dense_head: Mapping[str, Any], train_cfg: Mapping[str, Any] | None) -> dict[str, Any]:
    head = copy.deepcopy(dict(dense_head))
    if 'head_module' not in head:
        head['stacked_convs'] = 2
    local = dict(type='mmlocal.DenseDetHead', dense_head=head)
    return local if train_cfg is None else dict(local, train_cfg=copy.deepcopy(dict(train_cfg)))


def _detection(size: Size, count: int, classes: int) -> dict[str, Any]:
    from mmdet.testing import demo_mm_inputs

    batch: dict[str, Any] = demo_mm_inputs(
        count, image_shapes=[[3, *size]] * count, num_items=[4] * count, num_classes=classes, with_mask=True
    )
    return batch
