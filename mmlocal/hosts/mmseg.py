"""Segmentors."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from mmengine.config import Config

from mmlocal.hosts.accounts import DatasetRules, segmentation_account
from mmlocal.hosts.base import Host, Size, _images, find_classes, find_part, no_head, register_host
from mmlocal.hosts.trial import trains

_WIDTH = 256


@register_host
class MMSeg(Host):
    """Segmentors with a decode head."""

    name = 'mmseg'
    purpose = 'segmentation'
    extra = 'seg'
    task = 'seg'
    light_metrics = True
    labels: ClassVar = {'decode_head': 'gt_sem_seg', 'auxiliary_head': ''}
    reads_names = ('text_encoder',)
    # Finds the borders between classes: two of its own.
    own_classes = ('STDCHead',)
    loss_heads: ClassVar = {
        'mmseg.models.segmentors.encoder_decoder': (('decode_head', 'loss'), ('auxiliary_head', 'loss')),
    }
    between = ('_decode_head_forward_train', '_auxiliary_head_forward_train', *Host.between)
    datasets: ClassVar = {'BaseSegDataset.load_data_list': DatasetRules(segmentation_account)}

    def has(self, cfg: Mapping[str, Any]) -> bool:
        """Whether it has a decode head."""
        return 'decode_head' in cfg['model']

    def derive_head(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """One convolution and a classifier for the classes of its decode head, with those losses that it can have."""
        decode = find_part([cfg['model']['decode_head']], ('num_classes',))
        if decode is None:
            raise no_head('model.decode_head has no num_classes', "dict(type='mmlocal.SegHead', decode_head=...)")
        head = _fcn_for(decode)
        return dict(type='mmlocal.SegHead', decode_head=dict(head, **self._losses(decode, head, cfg)))

    def _losses(self, decode: Mapping[str, Any], head: dict[str, Any], cfg: Mapping[str, Any]) -> dict[str, Any]:
        """Of the decode head's losses those of logits and labels; others read more, and are left to the decode head."""
        given = decode.get('loss_decode') or []
        several = isinstance(given, (list, tuple))
        kept: list[Any] = []
        for loss in given if several else [given]:
            local = dict(type='mmlocal.SegHead', decode_head=dict(head, loss_decode=loss))
            if loss not in kept and trains(local, cfg, partial(self.generated_batch, fits=decode['num_classes'])):
                kept.append(copy.deepcopy(loss))
        if not kept:
            return {}
        return dict(loss_decode=kept if several else kept[0])

    def infer(self, cfg: Config, checkpoint: str, images: list[str], folder: str, device: str) -> None:
        """Classes as colours over the image, into `vis`; as numbers into `pred`."""
        from mmseg.apis import MMSegInferencer

        MMSegInferencer(cfg, checkpoint, device=device)(images, out_dir=folder)

    def derive_merge(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """An early feature."""
        return dict(type='mmlocal.ShallowBank')

    def fits(self, model: Mapping[str, Any]) -> int | None:
        """The classes of its decode head."""
        return find_classes([model['decode_head']])

    def fit_to(self, model: Any, size: Size) -> None:
        """Its data preprocessor pads to a size of its own."""
        model.data_preprocessor.size = size

    def generated_batch(self, size: Size, count: int, fits: int) -> dict[str, Any]:
        """Label maps, with some rows that are ignored."""
        return _segmentation(size, count, fits)


def _fcn_for(decode: Mapping[str, Any]) -> dict[str, Any]:
    kept = ('num_classes', 'threshold', 'norm_cfg', 'align_corners', 'ignore_index')
    own = {name: copy.deepcopy(decode[name]) for name in kept if name in decode}
    if decode.get('out_channels') == 1:  # two classes by one number; any other is a width
        own['out_channels'] = 1
    channels = decode.get('channels')
    width = min(_WIDTH, channels) if isinstance(channels, int) else _WIDTH
    return dict(type='mmseg.FCNHead', channels=width, num_convs=1, concat_input=False, dropout_ratio=0.1, **own)


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
