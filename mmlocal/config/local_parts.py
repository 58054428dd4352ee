"""What the feature bank and the terms of an auxiliary take from the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import ConfigDict

from mmlocal.errors import ConfigError
from mmlocal.hosts.derive import is_classifier, merged

__all__ = ['complete_term', 'derive_merge']


def derive_merge(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """How the feature bank is read by the local head of the host of `cfg`.

    Pooled features for a classifier; a local pyramid for a detector; an early feature for a segmentor, and the
    first unit's for a restoration model.

    Raises:
        ConfigError: if the host is none of these.
    """
    model = cfg['model']
    if is_classifier(cfg):
        return dict(type='mmlocal.PooledBank')
    if 'bbox_head' in model or 'roi_head' in model:
        neck = model.get('neck') or {}
        own = {'out_channels': neck['out_channels']} if isinstance(neck.get('out_channels'), int) else {}
        return dict(type='mmlocal.PyramidBank', **own)
    if 'decode_head' in model:
        return dict(type='mmlocal.ShallowBank')
    if 'generator' in model:
        return dict(type='mmlocal.ShallowBank', stride=1, first=True)
    raise ConfigError('cannot be derived: the host has no head, bbox_head, roi_head, decode_head or generator')


def complete_term(term: Mapping[str, Any], cfg: Mapping[str, Any]) -> ConfigDict:
    """A term with the classes of the host's head, or the mean and std of its data preprocessor.

    Raises:
        ConfigError: if the term compares labels of images, and the host is no classifier.
    """
    name = str(term.get('type')).split('.')[-1]
    if name == 'Similarity' and 'num_classes' not in term:
        if not is_classifier(cfg):
            raise ConfigError(f'type = {term["type"]!r} needs a classifier: the host has no head with num_classes')
        return merged(dict(num_classes=cfg['model']['head']['num_classes']), term)
    if name == 'Reconstruction':
        preprocessor = cfg['model'].get('data_preprocessor') or cfg.get('data_preprocessor') or {}
        own = {key: list(preprocessor[key]) for key in ('mean', 'std') if preprocessor.get(key)}
        return merged(own, term)
    return ConfigDict(term)
