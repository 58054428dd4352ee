"""What is in label maps: classes without a pixel, pixels that do not count, labels that are none."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmlocal.errors import ConfigError
from mmlocal.validation.data.contents import shown
from mmlocal.validation.data.targets import Targets

__all__ = ['check_label_maps']

# About a second of reading.
_PIXELS = 32 * 2**20
_SAID_ABOVE = 0.5


def check_label_maps(dataset: Any, targets: Targets, chosen: Sequence[int]) -> list[str]:
    """Count the pixels of each label, as the pipeline's own transform reads them, until it has taken a second.

    Args:
        dataset: of a segmentation.
        targets: what the model is made for.
        chosen: samples to look at, those first that are to be looked at first.

    Returns:
        What is odd and may be meant, each as the rest of a sentence.

    Raises:
        ConfigError: if a label is that of no class.
    """
    read = next((one for one in dataset.pipeline.transforms if getattr(one, 'with_seg', False)), None)
    classes = dataset.metainfo.get('classes') or ()
    if read is None or not hasattr(read, '_load_seg_map') or targets.labels != 'gt_sem_seg' or not classes:
        return []
    counts, looked = np.zeros(2**16, np.int64), 0
    place, allowed = next(iter(targets.num_classes.items()))
    for i in chosen:
        labels = _labels(read, dataset.get_data_info(i))
        if labels is None or labels.ndim != 2:
            continue
        looked += 1
        one = np.bincount(labels.ravel().astype(np.int64) & 0xFFFF, minlength=2**16)
        wrong = [int(v) for v in np.flatnonzero(one) if v >= max(allowed, 2) and v != targets.ignore_index]
        if wrong:
            raise ConfigError(
                f' has label {shown(wrong)} in {dataset.get_data_info(i)["seg_map_path"]!r}: {place} = {allowed} '
                f'allows 0 … {max(allowed, 2) - 1}, and {targets.ignore_index} to be ignored'
            )
        counts += one
        if counts.sum() > _PIXELS:
            break
    return _odd(counts, classes, looked, len(dataset), targets.ignore_index) if looked else []


def _labels(read: Any, info: Mapping[str, Any]) -> Any:
    results = copy.deepcopy(dict(info))
    try:
        read._load_seg_map(results)
    except Exception:  # of a file that is broken or missing, which is told where samples are read
        return None
    return results.get('gt_seg_map')


def _odd(counts: Any, classes: Sequence[str], looked: int, size: int, ignored: int) -> list[str]:
    empty = [name for i, name in enumerate(classes) if not counts[i]]
    share = counts[ignored] / max(1, counts.sum())
    of = f'the {size} label maps' if looked == size else f'{looked} label maps looked at, of {size},'
    if empty:
        return [
            f'{of} have no pixel of {shown(empty)}; {share:.1%} of their pixels are {ignored}, which the losses leave '
            'out'
        ]
    if share > _SAID_ABOVE:
        return [f'{share:.1%} of the pixels of {of} are {ignored}, which the losses leave out']
    return []
