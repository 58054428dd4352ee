"""Segmentors."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from mmlocal.hosts.accounts import DatasetRules, segmentation_account
from mmlocal.hosts.base import Host, Size, _classes, _images, _last, register_host


@register_host
class MMSeg(Host):
    """Segmentors with a decode head."""

    name = 'mmseg'
    task = 'seg'
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

    def derive_head(self, cfg: Mapping[str, Any]) -> dict[str, Any] | None:
        """One convolution and a classifier for the classes of its decode head."""
        decode = cfg['model']['decode_head']
        return dict(type='mmlocal.SegHead', decode_head=_fcn_for(_last(decode))) if decode else None

    def derive_merge(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """An early feature."""
        return dict(type='mmlocal.ShallowBank')

    def fits(self, model: Mapping[str, Any]) -> int | None:
        """The classes of its decode head."""
        return _classes(iter((model['decode_head'],)))

    def generated_batch(self, size: Size, count: int, fits: int) -> dict[str, Any]:
        """Label maps, with some rows that are ignored."""
        return _segmentation(size, count, fits)


def _fcn_for(decode: Mapping[str, Any]) -> dict[str, Any]:
    kept = ('num_classes', 'norm_cfg', 'align_corners', 'ignore_index', 'loss_decode')
    own = {name: copy.deepcopy(decode[name]) for name in kept if name in decode}
    if not str(own.get('loss_decode', {}).get('type', 'CrossEntropyLoss')).endswith('CrossEntropyLoss'):
        del own['loss_decode']  # losses of special heads read more than the labels
    channels = min(256, decode.get('channels', 256))
    return dict(type='mmseg.FCNHead', channels=channels, num_convs=1, concat_input=False, dropout_ratio=0.1, **own)


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
