"""Reading samples: an error says which file it is about, in a worker of the data loader too."""

from __future__ import annotations

import logging
import mimetypes
import os
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import mmcv
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine.logging import print_log
from PIL import Image, UnidentifiedImageError

from mmlocal.config.data.targets import Targets
from mmlocal.errors import ConfigError, reason

__all__ = ['DataError', 'name_samples', 'paths_of', 'read_keys']

_AT_MOST = 5


class DataError(ConfigError):
    """A sample that cannot be trained on.

    A worker of torch's data loader hands on an error as its type and the text of its traceback; the
    sentence is at the end of that text.

    Example:
        >>> str(DataError('Caught DataError in DataLoader worker.\\n ...\\nmmlocal.DataError: a.jpg is broken\\n'))
        'a.jpg is broken'
    """

    def __init__(self, *faults: str) -> None:
        super().__init__(*(fault.rpartition(f'{DataError.__name__}: ')[2].strip() for fault in faults))


def name_samples(dataset: Any, place: str, targets: Targets) -> None:
    """Let a dataset, and those inside of it, raise a `DataError` for a sample that cannot be read or has wrong labels.

    Note:
        To be called before the data loader starts its workers, which get a copy of the dataset.
    """
    for inner, where in leaves_of(dataset, place):
        inner.prepare_data = _Reader(inner, where, targets)


def leaves_of(dataset: Any, place: str) -> Iterator[tuple[Any, str]]:
    """The datasets inside of wrappers and concatenations that read files, each with its place in the config."""
    if hasattr(dataset, 'prepare_data') and hasattr(dataset, 'get_data_info'):
        yield dataset, place
    elif hasattr(dataset, 'datasets'):
        for i, one in enumerate(dataset.datasets):
            yield from leaves_of(one, f'{place}.datasets[{i}]')
    elif hasattr(dataset, 'dataset'):
        yield from leaves_of(dataset.dataset, f'{place}.dataset')
    elif hasattr(dataset, '_dataset'):  # mmengine's cut to num_batch_per_epoch
        yield from leaves_of(dataset._dataset, place)


class _Reader:
    """`prepare_data` of a dataset, which hooks may give another pipeline while it trains."""

    def __init__(self, dataset: Any, place: str, targets: Targets) -> None:
        self.dataset, self.place, self.targets = dataset, place, targets

    def __call__(self, idx: int) -> Any:
        try:
            sample = type(self.dataset).prepare_data(self.dataset, idx)
        except DataError:
            raise
        except Exception as error:  # transforms raise anything
            # The sentence is for users; log_level='DEBUG' shows whoever wrote a transform the rest.
            print_log(traceback.format_exc(), logger='current', level=logging.DEBUG)
            raise DataError(f'{self.place}: {self._cause(idx, error)}') from error
        fault = _content_fault(sample, self.targets)
        if fault:
            raise DataError(f'{self.place}: {self._name(idx)} {fault}')
        return sample

    def _paths(self, idx: int) -> dict[str, str]:
        return dict(paths_of(self.dataset.get_data_info(idx), read_keys(self.dataset)))

    def _name(self, idx: int) -> str:
        paths = [f'{key} = {path!r}' for key, path in self._paths(idx).items()]
        return f'sample {idx} of {len(self.dataset)}' + (f' ({", ".join(paths)})' if paths else '')

    def _cause(self, idx: int, error: Exception) -> str:
        for key, path in self._paths(idx).items():
            fault = _file_fault(path, error)
            if fault:
                return f'{key} = {path!r} of sample {idx} of {len(self.dataset)} {fault}'
        return f'{self._name(idx)} cannot be prepared{_transform_of(error)}: {reason(error)}'


def read_keys(dataset: Any) -> set[str]:
    """The paths of a sample that the transforms of a dataset open, as far as they are known."""
    pipeline = getattr(dataset, 'pipeline', None)
    keys = set()
    for transform in getattr(pipeline, 'transforms', ()):
        if isinstance(transform, LoadImageFromFile):
            keys.add('img_path')
        elif type(transform).__name__ == 'LoadImageFromFile':  # mmagic's, by the key of the image
            keys.add(f'{transform.key}_path')
        if getattr(transform, 'with_seg', False):
            keys.add('seg_map_path')
    return keys


def paths_of(info: Mapping[str, Any], keys: set[str]) -> Iterator[tuple[str, str]]:
    """Key and path of every local file of a sample that is read."""
    for key in sorted(keys & set(info)):
        paths = info[key] if isinstance(info[key], (list, tuple)) else [info[key]]
        for i, path in enumerate(paths):
            if isinstance(path, (str, os.PathLike)) and '://' not in str(path):
                yield key if len(paths) == 1 else f'{key}[{i}]', str(path)


def _file_fault(path: str, error: Exception) -> str:
    """What is wrong with a file of which `error` came, or nothing."""
    # An error that is none of the operating system's may come of a key of another storage.
    if not os.path.exists(path):
        return f'does not exist (looked for {os.path.abspath(path)})' if isinstance(error, OSError) else ''
    if not (mimetypes.guess_type(path)[0] or '').startswith('image/') or _is_readable(path):
        return ''
    size = os.path.getsize(path)
    try:
        with Image.open(path) as image:
            kind = image.format
    except UnidentifiedImageError:
        return f'is not an image ({size} bytes)'
    except Exception as broken:  # decoders of a damaged header
        return f'is a broken image ({size} bytes): {reason(broken)}'
    return f'is a broken image: its {size} bytes are not a whole {kind}'


def _is_readable(path: str) -> bool:
    """Whether both decoders that the hosts use read it."""
    try:
        whole = mmcv.imread(path, flag='unchanged', backend='cv2') is not None
        return whole and mmcv.imread(path, flag='unchanged', backend='pillow') is not None
    except Exception:  # whatever a broken file makes them raise
        return False


def _transform_of(error: BaseException) -> str:
    """Name of the last transform that ran."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    found = [type(one).__name__ for one in (f.f_locals.get('self') for f in frames) if isinstance(one, BaseTransform)]
    return f' by {found[-1]}' if found else ''


def _content_fault(sample: Any, targets: Targets) -> str:
    """Labels that the model does not have, and pairs of images that do not fit its scale."""
    if not isinstance(sample, Mapping) or 'data_samples' not in sample:
        return ''
    data = sample['data_samples']
    if targets.labels and targets.labels in data:
        return _label_fault(data, targets)
    if targets.scale and 'gt_img' in data and hasattr(sample.get('inputs'), 'shape'):
        return _scale_fault(sample['inputs'].shape[-2:], data.gt_img.shape[-2:], targets)
    return ''


def _label_fault(data: Any, targets: Targets) -> str:
    (place, allowed), *_ = targets.num_classes.items()
    value = data.get(targets.labels)
    labels = value.get('labels') if targets.labels == 'gt_instances' else getattr(value, 'data', value)
    if labels is None or not labels.numel():
        return ''
    wrong = labels >= allowed
    if targets.labels == 'gt_sem_seg':
        wrong &= labels != targets.ignore_index
    if not wrong.any():
        return ''
    found = [str(label) for label in labels[wrong].unique().tolist()]
    shown = ', '.join(found[:_AT_MOST]) + (' …' if len(found) > _AT_MOST else '')
    ignored = f', or {targets.ignore_index} to be ignored' if targets.labels == 'gt_sem_seg' else ''
    return f'has label {shown}, but {place} = {allowed} allows 0 … {allowed - 1}{ignored}'


def _scale_fault(low: Any, high: Any, targets: Targets) -> str:
    ((place, scale),) = targets.scale.items()
    needed = [scale * side for side in low]
    if list(high) == needed:
        return ''
    given, small, right = (f'{size[0]} x {size[1]}' for size in (high, low, needed))
    return f'has a target of {given} pixels for an input of {small}: {place} = {scale} needs {right}'
