"""Restoration models."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any, ClassVar

import cv2
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import load_checkpoint

from mmlocal.errors import ConfigError, reason
from mmlocal.hosts.accounts import DatasetRules, pair_account
from mmlocal.hosts.base import Host, Size, _images, no_head, register_host
from mmlocal.hosts.trial import in_host
from mmlocal.randomness import undisturbed
from mmlocal.registry import MODELS

# How generators call what they enlarge images by.
_SCALES = ('upscale_factor', 'upscale')
_CHANNELS, _GREY, _SIDE = 3, 0.5, 64
_EXAMPLE = "dict(type='mmlocal.RestorationHead', scale=1, pixel_loss=...)"


@register_host
class MMagic(Host):
    """Restoration models with a pixel loss."""

    name = 'mmagic'
    purpose = 'super-resolution'
    extra = 'sr'
    # It asks for much that restoration does not need, and that goes with no numpy of today.
    install_beside = '--no-deps mmagic==1.2.0'
    needs_operations = True
    refuses_mmcv = True
    task = 'sr'
    own_init_cfg = True
    datasets: ClassVar = {'BasicImageDataset.load_data_list': DatasetRules(pair_account)}

    def has(self, cfg: Mapping[str, Any]) -> bool:
        """Whether it has a generator."""
        return 'generator' in cfg['model']

    def derive_head(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """Convolutions and pixel shuffle to its scale, with its pixel loss."""
        model = cfg['model']
        if 'pixel_loss' not in model:
            raise no_head('the model has no pixel_loss', _EXAMPLE)
        if not _trains_as_all(cfg):
            raise ConfigError(
                f' is missing, and none would do: {model["type"]} trains its generator in a train_step of its own, and '
                "local learning enters mmengine's alone"
            )
        return _restoration_for(cfg)

    def infer(self, cfg: Config, checkpoint: str, images: list[str], folder: str, device: str) -> None:
        """The restored images. Its own `apis` import parts that restoration does not need and few have installed."""
        model = MODELS.build(cfg.model).to(device).eval()
        load_checkpoint(model, checkpoint, map_location='cpu')
        os.makedirs(folder, exist_ok=True)
        for path in images:
            inputs = torch.from_numpy(cv2.imread(path)).permute(2, 0, 1)
            with torch.no_grad():
                data = model.data_preprocessor(dict(inputs=[inputs], data_samples=[]), False)
                restored = model(data['inputs'], mode='tensor')
            pixels = model.data_preprocessor.destruct(restored, data['data_samples'])[0]
            name = os.path.splitext(os.path.basename(path))[0]
            cv2.imwrite(os.path.join(folder, f'{name}.png'), pixels.permute(1, 2, 0).clamp(0, 255).byte().cpu().numpy())

    def derive_merge(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """The first unit's feature."""
        return dict(type='mmlocal.ShallowBank', stride=1, first=True)

    def fits(self, model: Mapping[str, Any]) -> int | None:
        """Its scale."""
        generator = model['generator']
        if not generator:
            return None
        scale = _scale_of(generator)
        return scale if scale is not None else _run(dict(default_scope=self.name, model=model))[0]

    def generated_batch(self, size: Size, count: int, fits: int) -> dict[str, Any]:
        """Images and what they are to become, `fits` times as large."""
        return _restoration(size, count, fits)


def _trains_as_all(cfg: Mapping[str, Any]) -> bool:
    """Whether the model's step is mmengine's, which is where local learning enters."""
    with in_host(cfg), MODELS.switch_scope_and_registry(None) as registry:
        kind = registry.get(cfg['model']['type'])
    return getattr(kind, 'train_step', BaseModel.train_step) is BaseModel.train_step


def _scale_of(generator: Mapping[str, Any]) -> int | None:
    return next((int(generator[name]) for name in _SCALES if name in generator), None)


def _restoration_for(cfg: Mapping[str, Any]) -> dict[str, Any]:
    generator = cfg['model']['generator']
    scale, channels = _scale_of(generator), _CHANNELS
    if scale is None:
        scale, channels = _run(cfg)
    else:
        channels = next((generator[name] for name in ('out_channels', 'in_chans') if name in generator), channels)
    head = dict(type='mmlocal.RestorationHead', scale=scale, pixel_loss=copy.deepcopy(dict(cfg['model']['pixel_loss'])))
    # Its own width and mean; the head's defaults are those of EDSR-baseline on DIV2K.
    width = {name: generator[name] for name in ('mid_channels',) if name in generator}
    grey = {} if channels == _CHANNELS else {'mean': [_GREY] * channels}
    return {**head, **width, **grey, **({'mean': generator['rgb_mean']} if 'rgb_mean' in generator else {})}


def _run(cfg: Mapping[str, Any]) -> tuple[int, int]:
    """Scale and channels of what a generator makes of an empty image.

    Raises:
        ConfigError: if that is no image.
    """
    generator = _without_weights(cfg['model']['generator'])
    if 'partition' in generator:  # a local one, in one block
        generator.update(partition=[], auxiliary=[])
    faults = []
    for device in ('meta', 'cpu'):  # some networks read numbers off their tensors
        try:
            with in_host(cfg), undisturbed(), torch.no_grad(), torch.device(device):
                made = MODELS.build(copy.deepcopy(generator)).eval()(torch.zeros(1, _CHANNELS, _SIDE, _SIDE))
            scale = made.shape[-1] // _SIDE
            if made.shape[2:] == (scale * _SIDE, scale * _SIDE):
                return scale, made.shape[1]
            faults.append(f'it has the shape {tuple(made.shape)}')
        except Exception as error:  # a network may raise anything
            faults.append(reason(error))
    raise no_head(
        f'{generator.get("type")} has none of {", ".join(_SCALES)}, and what it makes of one image is no image '
        f'({faults[-1]})',
        _EXAMPLE,
    )


def _without_weights(config: Any) -> Any:
    """Without what a network would load, and download, as it is built."""
    if isinstance(config, Mapping):
        return {name: None if 'pretrained' in name else _without_weights(value) for name, value in config.items()}
    return copy.deepcopy(config)


def _restoration(size: Size, count: int, scale: int) -> dict[str, Any]:
    from mmagic.structures import DataSample

    target = (3, size[0] * scale, size[1] * scale)
    samples = [DataSample(gt_img=torch.randint(0, 255, target)) for _ in range(count)]
    return dict(inputs=list(_images(size, count)), data_samples=samples)
