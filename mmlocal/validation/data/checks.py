"""What can be said about a dataset that is built: its classes, its files, some of its samples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mmlocal.validation.data.categories import check_categories, check_classes, check_objects
from mmlocal.validation.data.contents import shown
from mmlocal.validation.data.images import paths_of, read_keys
from mmlocal.validation.data.samples import name_samples, read_samples
from mmlocal.validation.data.targets import Targets
from mmlocal.errors import ConfigError, Faults
from mmlocal.hosts import leaves_of
from mmlocal.randomness import undisturbed

__all__ = ['check_dataset', 'first_middle_last']

# A run looks whether so many samples have their files, spread over the dataset: on a local disk 0.1 s.
_LOOKED_AT = 5000


@undisturbed()
def check_dataset(
    dataset: Any, place: str, targets: Targets, to_train: bool = False, indices: Sequence[int] | None = None
) -> Any:
    """Look at a dataset; from here on, a sample of it that is wrong raises a `DataError`.

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
    faults, missing, thorough = Faults(), Faults(), indices is not None
    leaves = list(leaves_of(dataset, place))
    for leaf, where in leaves:
        with faults.under(where):
            check_categories(leaf, thorough)
        with missing.under(where):
            _check_files(leaf, len(leaf) if thorough else _LOOKED_AT)
    if to_train:
        faults.add('', _without_objects(leaves))
    with faults.under():
        check_classes(dataset, place, targets)
    # Labels are no fault of a sample where the classes are one of the whole dataset.
    name_samples(dataset, place, Targets(scale=targets.scale) if faults.found else targets)
    sample = None
    with faults.under():
        missing.report()
        sample = read_samples(dataset, place, first_middle_last(dataset) if indices is None else indices)
    faults.report()
    return sample


def first_middle_last(dataset: Any) -> list[int]:
    """Indices of up to three samples."""
    return sorted({0, len(dataset) // 2, len(dataset) - 1})


def _without_objects(leaves: Sequence[tuple[Any, str]]) -> list[str]:
    """What is said of datasets without an object; nothing where another one has some, as with unlabelled images."""
    faults = Faults()
    for leaf, where in leaves:
        with faults.under(where):
            check_objects(leaf, (leaf.get_data_info(i) for i in range(len(leaf))))
    return faults.found if len(faults.found) == len(leaves) else []


def _check_files(dataset: Any, at_most: int) -> None:
    """Look whether the files are there that the first transforms open.

    Raises:
        ConfigError: that counts and names those that are not.
    """
    keys, size = read_keys(dataset), len(dataset)
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    if any(getattr(one, name, None) for one in transforms for name in ('backend_args', 'file_client_args')):
        return
    step = -(-size // at_most) if size else 1
    paths = [path for i in range(0, size, step) for _, path in paths_of(dataset.get_data_info(i), keys)]
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        raise ConfigError(f' lacks {len(missing)} of the {len(paths)} files looked for: {shown(missing)}')
