"""Labels of a batch of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmlocal.errors import ConfigError

__all__ = ['labels_of']


def labels_of(data_samples: Sequence[Any] | None) -> Tensor:
    """The label of each image (N,), from mmpretrain's data samples.

    Raises:
        ConfigError: if an image has no label, or several.
    """
    labels = [getattr(sample, 'gt_label', None) for sample in data_samples or ()]
    if not labels or any(label is None or label.numel() != 1 for label in labels):
        raise ConfigError('auxiliary: this method compares labels, and the images have no single label each')
    return torch.cat([label.flatten() for label in labels if label is not None])
