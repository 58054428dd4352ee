"""Lists of images and their labels, a line each, and folders of classes that do not fit."""

from __future__ import annotations

import os
from typing import Any

from mmengine.fileio import list_from_file

from mmlocal.hosts.accounts.reading import Reading

__all__ = ['class_list_faults']


def class_list_faults(dataset: Any, notes: Reading) -> list[str]:
    """What is wrong with the list or the folders of a dataset that reads as mmpretrain's `CustomDataset` does."""
    if not dataset.with_label:
        return []
    return _list_faults(dataset.ann_file) if dataset.ann_file else _folder_faults(dataset)


def _list_faults(path: str) -> list[str]:
    lines = list_from_file(path)
    wrong = [i for i, line in enumerate(lines) if not _is_labelled(line)]
    if not wrong:
        return []
    first = lines[wrong[0]]
    return [
        f'ann_file = {path!r}, line {wrong[0] + 1}: {first!r} is not the name of a file, one blank and the number of '
        f'its class. So it is in {len(wrong)} of {len(lines)} lines: {_remedy(first)}'
    ]


def _is_labelled(line: str) -> bool:
    name, blank, label = line.strip().rpartition(' ')
    try:
        return bool(name and blank) and int(label) >= 0
    except ValueError:
        return False


def _remedy(line: str) -> str:
    if not line.strip():
        return 'remove the line'
    for mark, name in ((',', 'the comma'), (';', 'the semicolon'), ('\t', 'the tabulator')):
        if _is_labelled(' '.join(part.strip() for part in line.rsplit(mark, 1)) if mark in line else ''):
            return f'write a blank in the place of {name}'
    return 'correct them; the number is the place of the class in metainfo.classes, from 0 on'


def _folder_faults(dataset: Any) -> list[str]:
    classes, root = dataset.CLASSES, dataset.img_prefix
    if classes is None or not os.path.isdir(root):
        return []
    folders = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    if len(folders) == len(classes):
        return []
    lacks, more = sorted(set(classes) - set(folders)), sorted(set(folders) - set(classes))
    told = [f'{what} {", ".join(names[:5])}' for what, names in (('it lacks', lacks), ('it has', more)) if names]
    named = f': {" and ".join(told)}' if set(classes) & set(folders) else ''
    return [
        f'data_prefix = {root!r} has {len(folders)} folders of classes, and metainfo.classes has {len(classes)}{named}'
        '. Folders are numbered by their names: each class needs one there, if only an empty one, and nothing else'
    ]
