"""Classes: of the config, of the annotation files, of the model's heads."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mmlocal.errors import ConfigError, Faults, nearest
from mmlocal.hosts.accounts import CocoFile, Reading
from mmlocal.validation.data.contents import shown
from mmlocal.validation.data.targets import Targets

__all__ = ['categories_of', 'check_categories', 'check_classes', 'class_names', 'compare_categories']


def categories_of(dataset: Any, notes: Reading) -> CocoFile | None:
    """The annotation file by whose categories a dataset finds its classes; none for datasets that do not.

    Those of LVIS and Objects365 are `CocoDataset`s too, and take all categories as they come.
    """
    load = getattr(type(dataset), 'load_data_list', None)
    if getattr(load, '__qualname__', '') != 'CocoDataset.load_data_list':
        return None
    return notes.coco_file(dataset.ann_file, getattr(dataset, 'backend_args', None))


def check_categories(dataset: Any, notes: Reading) -> None:
    """Compare the classes of a dataset in COCO's format with the categories of its file.

    The host reads the annotations of the classes that it finds, and numbers them in the order of the
    file: one that is missing shifts all labels behind it.

    Raises:
        ConfigError: if a class is not in the file, several have its name, or the order is another one.
    """
    classes = dataset.metainfo.get('classes') or ()
    file = None if isinstance(classes, str) else categories_of(dataset, notes)
    if file is not None:
        compare_categories(file, classes, 'metainfo.classes')


def compare_categories(file: CocoFile, classes: Any, place: str) -> None:
    """Compare classes with the categories of a file.

    Raises:
        ConfigError: if a class is not in the file, several have its name, or the order is another one.
    """
    names = [name for _, name in file.categories]
    missing = [name for name in classes if name not in names]
    if missing:
        raise ConfigError(
            f'{place}: no category of {file.path!r} is called {shown(missing)}. '
            f'It has {shown(names) or "none"}.{nearest(missing[0], names)}'
        )
    twice = [name for name, count in Counter(names).items() if count > 1 and name in classes]
    if twice:
        raise ConfigError(f'{place}: {_doubled(file, twice[0])}')
    ordered = [name for name in names if name in classes]
    if ordered != list(classes):
        raise ConfigError(
            f'{place} = {tuple(classes)}: {file.path!r} has {tuple(ordered)}, and the labels are numbered in the '
            'order of the file. Give the classes in that order, each once'
        )


def _doubled(file: CocoFile, name: str) -> str:
    """What is said of categories of one name, and how one of them is done without."""
    count = Counter(file.category_ids)
    ids = [key for key, called in file.categories if called == name]
    empty = [key for key in ids if not count[key]]
    spare = empty[: len(ids) - 1] or ids[1:]
    kept = next(key for key in ids if key not in spare)
    moved = '' if empty else f', and write category_id = {kept!r} in the annotations that have it'
    return (
        f'{len(ids)} categories of {file.path!r} are called {name!r} (id {", ".join(map(repr, ids))}), and each would '
        f'take a label. Remove that of id {", ".join(map(repr, spare))} from its categories'
        f'{", as no object is of it" if empty else moved}; or give it another name'
    )


def class_names(dataset: Any) -> list[str]:
    """The names of a dataset's classes; of a concatenation of sets whose metainfo differs, those of the first."""
    metainfo = getattr(dataset, 'metainfo', None) or {}
    if isinstance(metainfo, (list, tuple)):
        metainfo = metainfo[0]
    classes = metainfo.get('classes')
    return [] if isinstance(classes, str) else list(classes or ())


def check_classes(dataset: Any, place: str, targets: Targets) -> None:
    """Compare the classes of a dataset with those of the model's heads.

    Raises:
        ConfigError: with every head that has another number of classes.
    """
    metainfo = getattr(dataset, 'metainfo', None) or {}
    # mmdet's concatenation has one each where they differ, if only in a palette.
    metainfo = metainfo[0] if isinstance(metainfo, (list, tuple)) else metainfo
    classes = metainfo.get('classes')
    if isinstance(classes, str):
        raise ConfigError(f'{place}.metainfo.classes = {classes!r} is a text: give a tuple, ({classes!r},)')
    if not classes:
        return
    # Of a panoptic dataset, boxes are of things alone.
    counts = {len(classes), len(metainfo.get('thing_classes') or classes)}
    faults = Faults()
    for where, count in targets.num_classes.items():
        if count not in counts:
            # Without the place: what is said of several splits is said once.
            faults.found.append(
                f'{where} = {count} does not fit the {len(classes)} classes of the data: {shown(classes)}'
            )
    faults.report()
