"""What can be said about a dataset that is built: its classes, its files, some of its samples."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmlocal.errors import ConfigError, Faults
from mmlocal.hosts import base_datasets_of
from mmlocal.hosts.accounts import Account, Reading, current_reading
from mmlocal.randomness import undisturbed
from mmlocal.validation.data.accounting import account_of, without_objects
from mmlocal.validation.data.categories import check_categories, check_classes
from mmlocal.validation.data.contents import shown
from mmlocal.validation.data.images import is_local, paths_of, read_keys
from mmlocal.validation.data.label_maps import check_label_maps
from mmlocal.validation.data.pixels import check_headers
from mmlocal.validation.data.samples import name_samples, read_samples
from mmlocal.validation.data.targets import Targets

__all__ = ['check_dataset', 'first_middle_last']

# A run looks whether so many samples have their files, spread over the dataset: on a local disk 0.1 s.
_LOOKED_AT = 5000
# And at the headers of so many: 0.1 s.
_OPENED = 1000


@undisturbed()
def check_dataset(
    dataset: Any, place: str, targets: Targets, to_train: bool = False, indices: Sequence[int] | None = None
) -> Any:
    """Look at a dataset; from here on, a sample of it that is wrong raises a `DataError`.

    What is odd is noted in the accounts of the `reading` that is going on.

    Args:
        dataset: built, with whatever wrappers it has.
        place: where it is in the config.
        targets: what the model is made for.
        to_train: whether it has to have objects.
        indices: samples to read, if no file is missing. Without, as before a run: the first, the middle
            and the last, and of a large dataset not all files are looked for.

    Returns:
        The first of the samples.

    Raises:
        ConfigError: with all that was found.
    """
    notes, leaves = current_reading(), list(base_datasets_of(dataset, place))
    faults, unreadable, suspects = _check_leaves(leaves, targets, indices is not None, notes)
    if to_train:
        faults.add('', without_objects(leaves, notes))
    with faults.under():
        check_classes(dataset, place, targets)
    # Labels are no fault of a sample where the classes are one of the whole dataset.
    name_samples(dataset, place, Targets(scale=targets.scale) if faults.found else targets)
    sample = None
    with faults.under():
        unreadable.report()
        sample = read_samples(dataset, place, first_middle_last(dataset) if indices is None else indices)
    for leaf, where, which in suspects if not unreadable.found else ():
        with faults.under():
            read_samples(leaf, where, which)
    faults.report()
    return sample


def _check_leaves(
    leaves: Sequence[tuple[Any, str]], targets: Targets, thorough: bool, notes: Reading
) -> tuple[Faults, Faults, list[tuple[Any, str, list[int]]]]:
    """Look at the datasets that read files.

    Returns:
        Faults; those of them after which no sample is worth to be read; and of each dataset, with its place, the
        samples that have to be.
    """
    faults, unreadable, suspects = Faults(), Faults(), []
    for leaf, where in leaves:
        account = account_of(leaf, notes)
        unreadable.add(where, account.faults)
        if not account.faults:
            with faults.under(where):
                check_categories(leaf, notes)
        with unreadable.under(where):
            account.notes += _check_files(leaf, len(leaf) if thorough else _LOOKED_AT)
        with faults.under(where):
            suspects.append((leaf, where, _look(leaf, targets, account, thorough, notes)))
    return faults, unreadable, suspects


def first_middle_last(dataset: Any) -> list[int]:
    """Indices of up to three samples."""
    return sorted({0, len(dataset) // 2, len(dataset) - 1})


def _look(dataset: Any, targets: Targets, account: Account, thorough: bool, notes: Reading) -> list[int]:
    """Look into the files; what is odd goes to the account.

    Returns:
        Samples that have to be read.

    Raises:
        ConfigError: with what cannot be meant.
    """
    suspects = _mislabelled(dataset, targets, notes)
    if is_local(dataset):
        size = len(dataset)
        looked = check_headers(dataset, targets, range(0, size, 1 if thorough else -(-size // _OPENED) or 1))
        account.notes += looked.odd
        account.notes += check_label_maps(dataset, targets, _spread(size))
        suspects += looked.suspects[:3]
    return suspects


def _spread(size: int) -> list[int]:
    """All indices, in such an order that the first ones are from all over."""
    step = max(1, round(size**0.5))
    return [i for start in range(step) for i in range(start, size, step)]


def _mislabelled(dataset: Any, targets: Targets, notes: Reading) -> list[int]:
    """The first samples whose label is that of no class, where a sample has one."""
    labels = notes.kept(dataset).labels
    if targets.labels != 'gt_label' or not labels:
        return []
    allowed = next(iter(targets.num_classes.values()))
    if min(labels) >= 0 and max(labels) < allowed:
        return []
    wrong = (i for i in range(len(dataset)) if not 0 <= int(dataset.get_data_info(i)['gt_label']) < allowed)
    return [i for i, _ in zip(wrong, range(3), strict=False)]


def _check_files(dataset: Any, at_most: int) -> list[str]:
    """Look whether the files are there that the first transforms open.

    Returns:
        That some are missing which the pipeline passes over.

    Raises:
        ConfigError: that counts and names those that are not.
    """
    keys, size = read_keys(dataset), len(dataset)
    if not is_local(dataset):
        return []
    step = -(-size // at_most) if size else 1
    paths = [path for i in range(0, size, step) for _, path in paths_of(dataset.get_data_info(i), keys)]
    missing = [path for path in paths if not os.path.exists(path)]
    if not missing:
        return []
    said = f'{len(missing)} of the {len(paths)} files looked for: {shown(missing)}'
    passed_over = any(getattr(one, 'ignore_empty', False) for one in dataset.pipeline.transforms)
    if passed_over and not dataset.test_mode and len(missing) < len(paths):
        return [f'ignore_empty = True passes over {said}, which do not exist']
    raise ConfigError(f' lacks {said}{_hint(missing[0])}')


def _hint(path: str) -> str:
    """Why a path may be wrong that looks right."""
    name = os.path.basename(path)
    if '\ufeff' in path:
        return '. The list of them begins with a byte order mark: save it as UTF-8 without'
    if name != name.strip() or '\r' in path:
        return '. There is a blank at an end of the name'
    stem = os.path.splitext(name)[0]
    others = sorted(Path(path).parent.glob(f'{glob.escape(stem)}.*')) if stem else []
    if others:
        return f'. There is {others[0].name!r}: another extension is read'
    if '\\' in path:
        return '. Write / in the place of \\ between folders'
    return ''
