"""The local head of a host: the host's own head, small."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mmlocal.errors import ConfigError

__all__ = ['derive_head']

# RetinaNet's own settings (arXiv 1708.02002), for hosts whose dense head knows no classes.
_RETINA = dict(
    type='mmdet.RetinaHead',
    anchor_generator=dict(
        type='AnchorGenerator', octave_base_scale=4, scales_per_octave=3, ratios=[0.5, 1.0, 2.0], strides=[8]
    ),
    bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[1.0] * 4),
    loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
    loss_bbox=dict(type='L1Loss', loss_weight=1.0),
)
_RETINA_TRAIN_CFG = dict(
    assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1),
    sampler=dict(type='PseudoSampler'),
    allowed_border=-1,
    pos_weight=-1,
    debug=False,
)


def derive_head(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a local head for the host of `cfg`.

    A detector with a dense head that knows the classes (RetinaNet, FCOS) gets that head with two
    convolutions a branch, half of its own, as MAN++ has it. A two-stage detector gets RetinaNet's head
    for the classes of its box head.

    Raises:
        ConfigError: if the host has neither.
    """
    model = cfg['model']
    dense = model.get('bbox_head')
    if isinstance(dense, Mapping) and 'num_classes' in dense:
        return _local(dict(dense), model.get('train_cfg'))
    roi = model.get('roi_head')
    if isinstance(roi, Mapping) and 'bbox_head' in roi:
        return _local(_retina_for(roi['bbox_head'], model), _RETINA_TRAIN_CFG)
    raise ConfigError(
        'auxiliary.head is missing, and none can be derived: the host has neither a bbox_head nor a '
        "roi_head with classes. Give one: head=dict(type='mmlocal.DenseDetHead', dense_head=...)"
    )


def _retina_for(boxes: Any, model: Mapping[str, Any]) -> dict[str, Any]:
    last = boxes[-1] if isinstance(boxes, (list, tuple)) else boxes
    width = (model.get('neck') or {}).get('out_channels', 256)
    return dict(_RETINA, num_classes=last['num_classes'], in_channels=width, feat_channels=width)


def _local(dense_head: Mapping[str, Any], train_cfg: Mapping[str, Any] | None) -> dict[str, Any]:
    head = copy.deepcopy(dict(dense_head))
    head['stacked_convs'] = 2
    local = dict(type='mmlocal.DenseDetHead', dense_head=head)
    return local if train_cfg is None else dict(local, train_cfg=copy.deepcopy(dict(train_cfg)))
