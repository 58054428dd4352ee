"""What the auxiliaries take from the host: their head, what reads the feature bank, and their terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import ConfigDict

from mmlocal.errors import ConfigError
from mmlocal.hosts.base import HOSTS, find_classes, host_of, is_classifier, merged, no_head
from mmlocal.hosts.mmpretrain import has_several_labels, linear_for

__all__ = ['complete_head', 'complete_term', 'derive_head', 'derive_merge', 'for_task', 'merged']

_OF_CLASSIFIERS = ('ClsHead', 'DGLHead', 'ContrastHead')


def derive_head(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a local head for the host of `cfg`.

    - A detector with a dense head that trains on few levels from boxes alone (RetinaNet, FCOS, YOLO): that head with
      two convolutions a branch, as MAN++ has it for RetinaNet.
    - Any other detector (two stages, queries, masks): FCOS's head for its classes, two convolutions a branch too
      (an interpretation: no paper has these hosts).
    - A segmentor: one convolution and a classifier for the classes of its decode head, as InfoPro has it.
    - A classifier: a linear head for its classes.
    - A restoration model: convolutions and pixel shuffle to its scale, with its pixel loss.

    Raises:
        ConfigError: if the host has none of these.
    """
    host = host_of(cfg)
    if host:
        return host.derive_head(cfg)
    raise no_head(
        'the model has no head that any host has (bbox_head, roi_head, mask_head, panoptic_head, rpn_head, '
        'decode_head, head) and no generator',
        "dict(type='mmlocal.DenseDetHead', dense_head=...)",
    )


def complete_head(given: Mapping[str, Any], cfg: Mapping[str, Any]) -> ConfigDict:
    """A head that was given with its type, and what only the host knows of it: the last layer of a classifier.

    Raises:
        ConfigError: if it compares labels of images, and the host is no classifier.
    """
    name = str(given['type']).split('.')[-1]
    if name in _OF_CLASSIFIERS and 'cls_head' not in given:
        _refuse_without_labels(given['type'], cfg, single=name == 'ContrastHead')
    if name in ('ClsHead', 'DGLHead') and 'cls_head' not in given:
        return merged(dict(cls_head=linear_for(cfg)), given)
    return ConfigDict(given)


def _refuse_without_labels(kind: Any, cfg: Mapping[str, Any], single: bool) -> None:
    if not is_classifier(cfg):
        raise ConfigError(f'type = {kind!r} needs a classifier: the host has no head with num_classes')
    if single and has_several_labels(cfg):
        raise ConfigError(f'type = {kind!r} compares labels, and an image has several: {cfg["model"]["head"]["type"]}')


def for_task(given: Mapping[str, Any], cfg: Mapping[str, Any]) -> ConfigDict:
    """What is given for the host's task alone (`for_cls`, `for_det`, `for_seg`, `for_sr`), over the rest.

    A method whose head is published for one task (`for_cls=dict(layers='1c2f')`) goes to others with theirs.
    """
    tasks = {f'for_{host.task}' for host in HOSTS.values()}
    rest = ConfigDict({key: value for key, value in given.items() if key not in tasks})
    host = host_of(cfg)
    own = f'for_{host.task}' if host else ''
    return merged(rest, given[own]) if own in given else rest


def derive_merge(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """How the feature bank is read by the local head of the host of `cfg`.

    Pooled features for a classifier; a local pyramid for a detector; an early feature for a segmentor, and the
    first unit's for a restoration model.

    Raises:
        ConfigError: if the host is none of these.
    """
    host = host_of(cfg)
    if host:
        return host.derive_merge(cfg)
    raise ConfigError('cannot be derived: the host has no head, bbox_head, roi_head, decode_head or generator')


def complete_term(term: Mapping[str, Any], cfg: Mapping[str, Any]) -> ConfigDict:
    """A term with the classes of the host's head, or the mean and std of its data preprocessor.

    Raises:
        ConfigError: if the term compares labels of images, and the host is no classifier.
    """
    name = str(term.get('type')).split('.')[-1]
    if name == 'Similarity' and 'num_classes' not in term:
        _refuse_without_labels(term['type'], cfg, single=True)
        return merged(dict(num_classes=find_classes([cfg['model']['head'], cfg['model'].get('backbone')])), term)
    if name == 'Reconstruction':
        preprocessor = cfg['model'].get('data_preprocessor') or cfg.get('data_preprocessor') or {}
        own = {key: list(preprocessor[key]) for key in ('mean', 'std') if preprocessor.get(key)}
        return merged(own, term)
    return ConfigDict(term)
