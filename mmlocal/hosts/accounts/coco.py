"""What a dataset of COCO's format keeps: the rules of the hosts' `CocoDataset`, told by reason."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmlocal.hosts.accounts.account import Account, Tally
from mmlocal.hosts.accounts.coco_file import CocoFile
from mmlocal.hosts.accounts.reading import Reading

__all__ = ['coco_account', 'coco_faults']

Mask = NDArray[np.bool_]
_CROWD = 'iscrowd = 1, which the losses leave out'


def coco_account(dataset: Any, notes: Reading) -> Account:
    """Hold an annotation file against what its dataset has kept.

    Args:
        dataset: one that reads its file as mmdet's `CocoDataset` does.
        notes: of what was read.
    """
    faults = coco_faults(dataset, notes)
    if faults:
        return Account(faults=faults)
    file, kept = notes.coco_file(dataset.ann_file), notes.kept(dataset)
    wanted = set(dataset.cat_ids)
    of_class = np.array([key in wanted for key in file.category_ids], bool)
    chosen = set(kept.keys)
    used = np.array([key in chosen for key in file.image_ids], bool)
    images = Tally(file.image_records, kept.images)
    images.drop('the same record is there twice', [], file.image_records - len(file.image_ids))
    for reason, which in _image_reasons(dataset, file, ~used, of_class).items():
        images.drop(reason, [repr(file.names[i]) for i in which[:3]], len(which))
    images.balance(f'by a rule of {type(dataset).__name__} that is not known here')
    objects = Tally(len(file.ids), kept.objects.total() if kept.objects else 0)
    for reason, which in _object_reasons(dataset, file, used, of_class).items():
        objects.drop(reason, [file.record(int(i)) for i in which[:3]], len(which))
    objects.balance(f'by a rule of {type(dataset).__name__} that is not known here')
    return Account(images, objects, _odd(file, used, of_class), _without_outline(dataset, file, used, of_class))


def coco_faults(dataset: Any, notes: Reading) -> list[str]:
    """What is wrong with the records of an annotation file."""
    file = notes.coco_file(dataset.ann_file, getattr(dataset, 'backend_args', None))
    return [f'ann_file = {fault}' for fault in file.faults]


def _image_reasons(dataset: Any, file: CocoFile, unused: Mask, of_class: Mask) -> dict[str, NDArray[np.int64]]:
    """Places of images that are not used, by the first reason that holds."""
    rules = dataset.filter_cfg if dataset.filter_cfg and not dataset.test_mode else {}
    annotated = np.zeros(len(file.image_ids), bool)
    annotated[file.rows[of_class & (file.rows >= 0)]] = True
    least = rules.get('min_size', 0)
    reasons = {
        'they have no object of the classes (filter_cfg.filter_empty_gt)': (
            ~annotated if rules.get('filter_empty_gt') else np.zeros_like(annotated)
        ),
        f'they are below filter_cfg.min_size = {least}': file.sizes.min(1, initial=np.inf) < least,
        'they are not among the indices': np.full_like(annotated, dataset._indices is not None),
    }
    return _first_reason(reasons, unused)


def _object_reasons(dataset: Any, file: CocoFile, used: Mask, of_class: Mask) -> dict[str, NDArray[np.int64]]:
    """Places of annotations that nothing is learned from, by the first rule that drops them, as the host has them."""
    rows, (x, y, w, h) = file.rows, file.boxes.T
    missing = rows < 0
    width, height = (file.sizes[rows].T if len(file.sizes) else np.zeros((2, len(rows)))).astype(float)
    across = np.minimum(x + w, width) - np.maximum(x, 0)
    down = np.minimum(y + h, height) - np.maximum(y, 0)
    known = {key for key, _ in file.categories}
    in_file = np.array([key in known for key in file.category_ids], bool)
    reasons = {
        'image_id is that of no image': missing,
        'ignore = 1': file.ignore,
        'width or height of their image is 0 in the file': (width <= 0) | (height <= 0),
        'width or height of the box is 0': (w == 0) | (h == 0),
        'width or height of the box is negative': (w < 0) | (h < 0),
        'the box is outside of the image': (across <= 0) | (down <= 0),
        'area is 0 or less': file.areas <= 0,
        'the box is less than one pixel wide or high': (w < 1) | (h < 1),
        'category_id is that of no category': ~in_file,
        _unread(dataset, file): ~of_class,
        _CROWD: file.crowd,
        'their image is not used': ~used[rows] if len(used) else missing,
    }
    return _first_reason(reasons, np.ones(len(rows), bool))


def _without_outline(dataset: Any, file: CocoFile, used: Mask, of_class: Mask) -> list[str]:
    """Objects without a segmentation, where the pipeline reads it."""
    if not any(getattr(one, 'with_mask', False) for one in dataset.pipeline.transforms):
        return []
    dropped = [which for name, which in _object_reasons(dataset, file, used, of_class).items() if name != _CROWD]
    without = sorted({*file.without_outline}.difference(*map(np.ndarray.tolist, dropped)))
    if not without:
        return []
    return [
        f'ann_file = {file.path!r}: {file.record(without[0])} has no segmentation, and the pipeline reads it '
        f'(with_mask). So it is in {len(without)} of {len(file.ids)} annotations: add it, or train without masks'
    ]


def _unread(dataset: Any, file: CocoFile) -> str:
    classes = dataset.metainfo.get('classes') or ()
    unread = [name for _, name in file.categories if name not in classes]
    return f'their category is none of metainfo.classes: {", ".join(unread[:5])}{" …" if len(unread) > 5 else ""}'


def _first_reason(reasons: dict[str, Mask], among: Mask) -> dict[str, NDArray[np.int64]]:
    left, found = among.copy(), {}
    for reason, holds in reasons.items():
        found[reason] = np.flatnonzero(left & holds)
        left &= ~holds
    return found


def _odd(file: CocoFile, used: Mask, of_class: Mask) -> list[str]:
    """Boxes that are kept, and that reach beyond their image by more than a rounded number does."""
    rows, (x, y, w, h) = file.rows, file.boxes.T
    if not len(file.sizes):
        return []
    width, height = file.sizes[rows].T
    counted = (rows >= 0) & used[rows] & of_class & ~file.ignore & (w >= 1) & (h >= 1)
    inside = (x < width) & (y < height) & (x + w > 0) & (y + h > 0)
    beyond = (np.minimum(x, y) < -2) | (x + w > width + 2) | (y + h > height + 2)
    which = np.flatnonzero(counted & inside & beyond)
    if not len(which):
        return []
    first = ', '.join(file.record(int(i)) for i in which[:3])
    return [
        f'{len(which)} of {len(rows)} objects are used, and their boxes reach beyond the image by more than two pixels '
        f'({first}{", …" if len(which) > 3 else ""}): a bbox is x, y, width, height'
    ]
