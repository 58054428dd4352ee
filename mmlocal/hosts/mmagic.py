"""Restoration models."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from mmlocal.errors import ConfigError
from mmlocal.hosts.accounts import DatasetRules, pair_account
from mmlocal.hosts.base import Host, Size, _images, register_host


@register_host
class MMagic(Host):
    """Restoration models with a pixel loss."""

    name = 'mmagic'
    task = 'sr'
    datasets: ClassVar = {'BasicImageDataset.load_data_list': DatasetRules(pair_account)}

    def has(self, cfg: Mapping[str, Any]) -> bool:
        """Whether it has a generator."""
        return 'generator' in cfg['model']

    def derive_head(self, cfg: Mapping[str, Any]) -> dict[str, Any] | None:
        """Convolutions and pixel shuffle to its scale, with its pixel loss."""
        model = cfg['model']
        return _restoration_for(model['generator'], model['pixel_loss']) if 'pixel_loss' in model else None

    def derive_merge(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """The first unit's feature."""
        return dict(type='mmlocal.ShallowBank', stride=1, first=True)

    def fits(self, model: Mapping[str, Any]) -> int | None:
        """Its scale."""
        generator = model['generator']
        return int(generator.get('upscale_factor') or generator.upscale) if generator else None

    def generated_batch(self, size: Size, count: int, fits: int) -> dict[str, Any]:
        """Images and what they are to become, `fits` times as large."""
        return _restoration(size, count, fits)


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


def _restoration(size: Size, count: int, scale: int) -> dict[str, Any]:
    from mmagic.structures import DataSample

    target = (3, size[0] * scale, size[1] * scale)
    samples = [DataSample(gt_img=torch.randint(0, 255, target)) for _ in range(count)]
    return dict(inputs=list(_images(size, count)), data_samples=samples)
