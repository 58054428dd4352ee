"""What datasets of folders and lists keep: the files that are there against those that are read."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Collection, Iterator
from typing import Any

from mmlocal.hosts.accounts.account import Account, Tally
from mmlocal.hosts.accounts.reading import Reading

__all__ = ['class_folder_account', 'pair_account', 'segmentation_account']

# Image files that Python's table of types does not know.
_ALSO_IMAGES = ('.webp', '.heic', '.avif', '.jp2', '.jfif')


def class_folder_account(dataset: Any, notes: Reading) -> Account | None:
    """A folder a class, as mmpretrain's `CustomDataset` has it; of a list, nothing is dropped."""
    if dataset.ann_file or not os.path.isdir(dataset.img_prefix):
        return None
    root, kept = dataset.img_prefix, notes.kept(dataset)
    folders = {entry.name for entry in os.scandir(root) if entry.is_dir()} if dataset.with_label else None
    others, outside = [], []
    for path in _images(root):
        if folders is not None and path.split(os.sep)[0] not in folders:
            outside.append(path)
        elif not dataset.is_valid_file(path):
            others.append(path)
    images = Tally(kept.images + len(others) + len(outside), kept.images)
    images.drop('they are in no folder of a class', [repr(path) for path in sorted(outside)])
    _drop_suffixes(images, others, 'extensions', tuple(sorted(dataset.extensions)))
    return Account(images)


def segmentation_account(dataset: Any, notes: Reading) -> Account | None:
    """Images and label maps in two folders, as mmseg's `BaseSegDataset` has them."""
    root, maps = dataset.data_prefix.get('img_path'), dataset.data_prefix.get('seg_map_path')
    if not root or not os.path.isdir(root) or os.path.isfile(dataset.ann_file or ''):
        return None
    kept = notes.kept(dataset)
    chosen = {os.path.relpath(str(path), root) for path in kept.keys}
    apart = not maps or os.path.abspath(maps) != os.path.abspath(root)
    others, unused = [], []
    for path in _images(root):
        if path.endswith(dataset.img_suffix):
            unused += [path] if path not in chosen else []
        elif apart:
            others.append(path)
    images = Tally(kept.images + len(others) + len(unused), kept.images)
    _drop_suffixes(images, others, 'img_suffix', (dataset.img_suffix,))
    images.drop('they are not among the indices', [repr(path) for path in sorted(unused)])
    account = Account(images)
    if apart and maps and os.path.isdir(maps) and dataset._indices is None:
        stems = {path.removesuffix(dataset.img_suffix) for path in chosen}
        suffix = dataset.seg_map_suffix
        alone = [path for path in _images(maps) if path.endswith(suffix) and path.removesuffix(suffix) not in stems]
        _note(account, alone, 'label maps are of no image that is read')
    return account


def pair_account(dataset: Any, notes: Reading) -> Account | None:
    """Images and what they are to become, as mmagic's `BasicImageDataset` has them."""
    root = dataset.data_prefix.get(dataset.search_key)
    if dataset.use_ann_file or not root or not os.path.isdir(root):
        return None
    kept = notes.kept(dataset)
    suffixes = dataset.img_suffix if isinstance(dataset.img_suffix, (tuple, list)) else (dataset.img_suffix,)
    deep = [path for path in _images(root) if dataset.recursive or os.sep not in path]
    others = [path for path in deep if not path.endswith(tuple(suffixes))]
    images = Tally(max(len(deep), kept.images), kept.images)
    _drop_suffixes(images, others, 'img_suffix', tuple(suffixes))
    images.balance('they are not among the indices, or not named as filename_tmpl says')
    account = Account(images)
    for key, folder in dataset.data_prefix.items():
        if key != dataset.search_key and dataset._indices is None and os.path.isdir(folder):
            _note(
                account,
                _alone(dataset, key, folder),
                f'files of data_prefix.{key} go with none of {dataset.search_key}',
            )
    return account


def _alone(dataset: Any, key: str, folder: str) -> list[str]:
    """Images of another folder that belong to no sample."""
    infos = (dataset.get_data_info(i) for i in range(len(dataset)))
    read = {os.path.relpath(info[f'{key}_path'], folder) for info in infos}
    return [path for path in _images(folder) if path not in read and (dataset.recursive or os.sep not in path)]


def _images(root: str) -> Iterator[str]:
    """Image files below a folder, whatever their extension, relative to it."""
    for folder, _, names in os.walk(root, followlinks=True):
        for name in names:
            if _is_image(name):
                yield os.path.relpath(os.path.join(folder, name), root)


def _is_image(name: str) -> bool:
    if name.startswith('.'):
        return False
    kind = mimetypes.guess_type(name)[0] or ''
    return kind.startswith('image/') or name.lower().endswith(_ALSO_IMAGES)


def _drop_suffixes(images: Tally, paths: Collection[str], key: str, read: tuple[str, ...]) -> None:
    found = sorted({os.path.splitext(path)[1] for path in paths})
    images.drop(
        f'{key} = {read[0] if len(read) == 1 else list(read)} does not read {", ".join(found)}',
        [repr(path) for path in sorted(paths)],
    )


def _note(account: Account, paths: list[str], what: str) -> None:
    if paths:
        first = ', '.join(repr(path) for path in sorted(paths)[:3])
        account.notes.append(f'{len(paths)} {what} ({first}{", …" if len(paths) > 3 else ""})')
