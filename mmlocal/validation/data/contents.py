"""Whether a sample fits the model: its labels, and the sizes of a pair of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mmlocal.validation.data.targets import Targets

__all__ = ['content_fault', 'shown']

_AT_MOST = 5


def shown(items: Sequence[object]) -> str:
    """The first items of a list, and how many there are.

    Example:
        >>> shown(range(100))
        '0, 1, 2, 3, 4 … (100)'
    """
    text = ', '.join(str(item) for item in items[:_AT_MOST])
    return text if len(items) <= _AT_MOST else f'{text} … ({len(items)})'


def content_fault(sample: Any, targets: Targets) -> str:
    """What is wrong with a packed sample, or nothing. Costs a comparison a label."""
    if not isinstance(sample, Mapping) or 'data_samples' not in sample:
        return ''
    data = sample['data_samples']
    if targets.labels and targets.labels in data:
        return _label_fault(data.get(targets.labels), targets)
    if targets.scale and 'gt_img' in data and hasattr(sample.get('inputs'), 'shape'):
        return _scale_fault(sample['inputs'].shape[-2:], data.gt_img.shape[-2:], targets)
    return ''


def _label_fault(value: Any, targets: Targets) -> str:
    place, allowed = next(iter(targets.num_classes.items()))
    ignored = ''
    labels = value.get('labels') if targets.labels == 'gt_instances' else value
    if targets.labels == 'gt_sem_seg':
        # One class is told from the background by one output: labels 0 and 1.
        labels, allowed, ignored = value.data, max(allowed, 2), f', and {targets.ignore_index} to be ignored'
    if labels is None:
        return ''
    labels = torch.as_tensor(labels)
    wrong = labels >= allowed
    if ignored:
        wrong &= labels != targets.ignore_index
    if not wrong.any():
        return ''
    found = shown(labels[wrong].unique().tolist())
    return f'has label {found}: {place} = {targets.num_classes[place]} allows 0 … {allowed - 1}{ignored}'


def _scale_fault(small: Sequence[int], large: Sequence[int], targets: Targets) -> str:
    place, scale = next(iter(targets.scale.items()))
    needed = [scale * side for side in small]
    if list(large) == needed:
        return ''
    given, low, right = (f'{size[0]} x {size[1]}' for size in (large, small, needed))
    return f'has a target of {given} pixels for an input of {low}: {place} = {scale} needs {right}'
