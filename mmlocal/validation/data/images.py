"""The files of a sample: which are read, and what is wrong with one that cannot be."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image, UnidentifiedImageError

__all__ = ['file_fault', 'is_local', 'paths_of', 'read_keys']


def read_keys(dataset: Any) -> set[str]:
    """Keys of a sample whose files the transforms of a dataset open, as far as these are the hosts' usual ones."""
    from mmcv.transforms import LoadImageFromFile

    keys = set()
    for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
        if isinstance(transform, LoadImageFromFile):
            keys.add('img_path')
        elif type(transform).__name__ == 'LoadImageFromFile':  # mmagic's: one for each image of a sample
            keys.add(f'{transform.key}_path')
        if getattr(transform, 'with_seg', False):
            keys.add('seg_map_path')
    return keys


def is_local(dataset: Any) -> bool:
    """Whether its files are on a disk, as far as its transforms tell."""
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    return not any(getattr(one, name, None) for one in transforms for name in ('backend_args', 'file_client_args'))


def paths_of(info: Mapping[str, Any], keys: set[str]) -> Iterator[tuple[str, str]]:
    """Key and path of every local file of a sample that is read; several of one key are frames."""
    for key in sorted(keys & set(info)):
        paths = info[key] if isinstance(info[key], (list, tuple)) else [info[key]]
        for i, path in enumerate(paths):
            if isinstance(path, (str, os.PathLike)) and '://' not in str(path):
                yield f'{key}[{i}]' if len(paths) > 1 else key, str(path)


def file_fault(path: str, error: Exception) -> str:
    """What is wrong with a file that `error` came of, or nothing."""
    if not os.path.exists(path):
        # Any other error may come of a path into another storage.
        return f'does not exist (looked for {os.path.abspath(path)})' if isinstance(error, OSError) else ''
    if not (mimetypes.guess_type(path)[0] or '').startswith('image/') or _is_readable(path):
        return ''
    size = os.path.getsize(path)
    try:
        Image.open(path).close()
    except UnidentifiedImageError:
        return f'is not an image, whatever its name says ({size} bytes)'
    except Exception:  # of a damaged header
        pass
    return f'is a broken image: its {size} bytes cannot be read to the end'


def _is_readable(path: str) -> bool:
    """Whether both decoders read it that the hosts use."""
    import mmcv

    try:
        return all(mmcv.imread(path, flag='unchanged', backend=name) is not None for name in ('cv2', 'pillow'))
    except Exception:  # whatever a broken file makes them raise
        return False
