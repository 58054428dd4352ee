"""What the config of a model says about the data that it is made for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmlocal.config.complete import find_backbone
from mmlocal.hosts import HOSTS

__all__ = ['Targets', 'targets_of']


@dataclass(frozen=True)
class Targets:
    """What a model is made for; what its config leaves silent is empty.

    Attributes:
        num_classes: number of classes by its place in the config, the model's own heads first.
        labels: where a sample has the labels: `gt_instances`, `gt_sem_seg` or `gt_label`.
        ignore_index: label of pixels that do not count.
        scale: factor of a restoration model by its place in the config.
    """

    num_classes: dict[str, int] = field(default_factory=dict)
    labels: str = ''
    ignore_index: int = 255
    scale: dict[str, int] = field(default_factory=dict)


def targets_of(cfg: Mapping[str, Any]) -> Targets:
    """Read off what the model of `cfg` is made for."""
    model = cfg.get('model')
    if not isinstance(model, Mapping) or any(name in model for host in HOSTS.values() for name in host.reads_names):
        return Targets()
    labels = _labels()
    heads = {name: model[name] for name in labels if model.get(name)}
    classes = dict(_num_classes(heads, 'model'))
    local = find_backbone(cfg)
    if classes and local is not None:
        auxiliary = f'{local[0]}.auxiliary'
        classes |= _differing(local[1].get('auxiliary'), auxiliary, set(classes.values()))
    decode = heads.get('decode_head')
    last = decode[-1] if isinstance(decode, (list, tuple)) else decode or {}
    generator = model.get('generator') or {}
    scales = {f'model.generator.{key}': generator.get(key) for key in ('upscale_factor', 'upscale')}
    return Targets(
        num_classes=classes,
        labels=next((labels[name] for name in heads if classes), ''),
        ignore_index=last.get('ignore_index', 255),
        scale={place: value for place, value in scales.items() if isinstance(value, int)},
    )


def _labels() -> dict[str, str]:
    """Of all hosts: the heads whose classes are those of the dataset, and where their labels are in a sample.

    Other heads count differently: a region proposal network has one class, a semantic head of a panoptic model its own.
    """
    return {slot: labels for host in HOSTS.values() for slot, labels in host.labels.items()}


def _own_classes() -> set[str]:
    return {name for host in HOSTS.values() for name in host.own_classes}


def _num_classes(config: Any, place: str) -> Iterator[tuple[str, int]]:
    """Place and value of every `num_classes` of a head, those of cascades and of heads within heads too."""
    if isinstance(config, (list, tuple)):
        for i, one in enumerate(config):
            yield from _num_classes(one, f'{place}[{i}]')
    elif isinstance(config, Mapping) and str(config.get('type')).split('.')[-1] not in _own_classes():
        if isinstance(config.get('num_classes'), int):
            yield f'{place}.num_classes', config['num_classes']
        for name in (*_labels(), 'head_module'):
            yield from _num_classes(config.get(name), f'{place}.{name}')


def _differing(config: Any, place: str, known: set[int]) -> dict[str, int]:
    """Those of the local heads that differ from the model's own: the others share its faults."""
    found: dict[str, int] = {}
    if isinstance(config, (list, tuple)):
        for i, one in enumerate(config):
            found |= _differing(one, f'{place}[{i}]', known)
    elif isinstance(config, Mapping):
        for name, value in config.items():
            if name == 'num_classes' and isinstance(value, int) and value not in known:
                found[f'{place}.num_classes'] = value
            found |= _differing(value, f'{place}.{name}', known)
    return found
