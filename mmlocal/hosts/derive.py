"""The local head of a host: the host's own head, small."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict

from mmlocal.errors import ConfigError

__all__ = ['complete_head', 'derive_head', 'for_task', 'is_classifier', 'merged']

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
_OF_CLASSIFIERS = ('ClsHead', 'DGLHead', 'ContrastHead')


def derive_head(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a local head for the host of `cfg`.

    - A detector with a dense head that knows the classes (RetinaNet, FCOS): that head with two
      convolutions a branch, as MAN++ has it for RetinaNet.
    - A two-stage detector: FCOS's head for the classes of its box head, two convolutions a branch too
      (an interpretation: no paper has this host).
    - A segmentor: one convolution and a classifier for the classes of its decode head, as InfoPro has it.
    - A classifier: a linear head for the classes of its head.
    - A restoration model: convolutions and pixel shuffle to its scale, with its pixel loss.

    Raises:
        ConfigError: if the host has none of these.
    """
    model = cfg['model']
    dense, roi, decode, head = (model.get(name) for name in ('bbox_head', 'roi_head', 'decode_head', 'head'))
    if isinstance(dense, Mapping) and 'num_classes' in {**dense, **dense.get('head_module', {})}:
        return _local(dict(dense), model.get('train_cfg'))
    if isinstance(roi, Mapping) and 'bbox_head' in roi:
        return _local(_fcos_for(_last(roi['bbox_head']), model), None)
    if decode:
        return dict(type='mmlocal.SegHead', decode_head=_fcn_for(_last(decode)))
    if is_classifier(cfg):
        return dict(type='mmlocal.ClsHead', cls_head=_linear_for(head))
    if 'pixel_loss' in model and 'generator' in model:
        return _restoration_for(model['generator'], model['pixel_loss'])
    raise ConfigError(
        ' is missing, and none can be derived: the host has no bbox_head, roi_head, decode_head or '
        "head with classes, and no pixel_loss. Give one: head=dict(type='mmlocal.DenseDetHead', dense_head=...)"
    )


def complete_head(given: Mapping[str, Any], cfg: Mapping[str, Any]) -> ConfigDict:
    """A head that was given with its type, and what only the host knows of it: the last layer of a classifier.

    Raises:
        ConfigError: if it compares labels of images, and the host is no classifier.
    """
    name = str(given['type']).split('.')[-1]
    if name in _OF_CLASSIFIERS and 'cls_head' not in given and not is_classifier(cfg):
        raise ConfigError(f'type = {given["type"]!r} needs a classifier: the host has no head with num_classes')
    if name in ('ClsHead', 'DGLHead') and 'cls_head' not in given:
        return merged(dict(cls_head=_linear_for(cfg['model']['head'])), given)
    return ConfigDict(given)


def for_task(given: Mapping[str, Any], cfg: Mapping[str, Any]) -> ConfigDict:
    """What is given for the host's task alone (`for_cls`, `for_det`, `for_seg`, `for_sr`), over the rest.

    A method whose head is published for one task (`for_cls=dict(layers='1c2f')`) goes to others with theirs.
    """
    model = cfg['model']
    tasks = dict(
        for_cls=is_classifier(cfg),
        for_det='bbox_head' in model or 'roi_head' in model,
        for_seg='decode_head' in model,
        for_sr='generator' in model,
    )
    rest = {key: value for key, value in given.items() if key not in tasks}
    for key, it_is in tasks.items():
        rest = merged(rest, given[key]) if it_is and key in given else rest
    return ConfigDict(rest)


def is_classifier(cfg: Mapping[str, Any]) -> bool:
    """Whether the host's annotation is one label an image."""
    head = cfg['model'].get('head')
    return isinstance(head, Mapping) and 'num_classes' in head


def merged(derived: Mapping[str, Any], given: Mapping[str, Any]) -> ConfigDict:
    """What is given over what is derived, dicts inside as in config inheritance."""
    both = Config(dict(derived))
    both.merge_from_dict(dict(given))
    return ConfigDict(both.to_dict())


def _last(heads: Any) -> Mapping[str, Any]:
    """The last of a cascade's heads, or the only one."""
    last: Mapping[str, Any] = heads[-1] if isinstance(heads, (list, tuple)) else heads
    return last


def _fcn_for(decode: Mapping[str, Any]) -> dict[str, Any]:
    kept = ('num_classes', 'norm_cfg', 'align_corners', 'ignore_index', 'loss_decode')
    own = {name: copy.deepcopy(decode[name]) for name in kept if name in decode}
    if not str(own.get('loss_decode', {}).get('type', 'CrossEntropyLoss')).endswith('CrossEntropyLoss'):
        del own['loss_decode']  # losses of special heads read more than the labels
    channels = min(256, decode.get('channels', 256))
    return dict(type='mmseg.FCNHead', channels=channels, num_convs=1, concat_input=False, dropout_ratio=0.1, **own)


def _linear_for(head: Mapping[str, Any]) -> dict[str, Any]:
    kept = ('num_classes', 'loss', 'topk')
    own = {name: copy.deepcopy(head[name]) for name in kept if name in head}
    return dict(type='mmpretrain.LinearClsHead', **own)


def _fcos_for(last: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    width = (model.get('neck') or {}).get('out_channels', 256)
    norm = dict(type='GN', num_groups=math.gcd(width, _GROUPS), requires_grad=True)
    return dict(_FCOS, num_classes=last['num_classes'], in_channels=width, feat_channels=width, norm_cfg=norm)


def _restoration_for(generator: Mapping[str, Any], pixel_loss: Mapping[str, Any]) -> dict[str, Any]:
    scale = generator.get('upscale_factor', generator.get('upscale'))
    if scale is None:
        raise ConfigError(
            ' is missing, and none can be derived: the generator has no upscale_factor or upscale. '
            "Give one: head=dict(type='mmlocal.RestorationHead', scale=1, pixel_loss=...)"
        )
    head = dict(type='mmlocal.RestorationHead', scale=scale, pixel_loss=copy.deepcopy(dict(pixel_loss)))
    # Its own width and mean; the head's defaults are those of EDSR-baseline on DIV2K.
    width = {name: generator[name] for name in ('mid_channels',) if name in generator}
    return {**head, **width, **({'mean': generator['rgb_mean']} if 'rgb_mean' in generator else {})}


def _local(dense_head: Mapping[str, Any], train_cfg: Mapping[str, Any] | None) -> dict[str, Any]:
    head = copy.deepcopy(dict(dense_head))
    if 'head_module' not in head:
        head['stacked_convs'] = 2
    local = dict(type='mmlocal.DenseDetHead', dense_head=head)
    return local if train_cfg is None else dict(local, train_cfg=copy.deepcopy(dict(train_cfg)))
