"""Classes: of the config, of the annotation files, of the model's heads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree import ElementTree

import mmengine

from mmlocal.validation.data.contents import shown
from mmlocal.validation.data.targets import Targets
from mmlocal.errors import ConfigError, Faults, nearest

__all__ = ['categories_of', 'check_categories', 'check_classes', 'check_objects']

# An annotation file below this takes about a second to be read a second time.
_READ_TWICE_BYTES = 32 * 2**20
_FILES_NAMED = 100


def categories_of(dataset: Any) -> list[str] | None:
    """Names in an annotation file, in its order; none for datasets that do not find their classes by these.

    Those of LVIS and Objects365 are `CocoDataset`s too, and take all categories as they come.
    """
    load = getattr(type(dataset), 'load_data_list', None)
    if getattr(load, '__qualname__', '') != 'CocoDataset.load_data_list':
        return None
    content = mmengine.load(dataset.ann_file, backend_args=getattr(dataset, 'backend_args', None))
    return [category['name'] for category in content.get('categories', [])]


def check_categories(dataset: Any, thorough: bool) -> None:
    """Compare the classes of a dataset in COCO's format with the categories of its file.

    The host reads the annotations of the classes that it finds, and numbers them in the order of the
    file: one that is missing shifts all labels behind it.

    Raises:
        ConfigError: if a class is not in the file, or the order is another one.
    """
    classes = dataset.metainfo.get('classes') or ()
    if not hasattr(dataset, 'cat_ids') or isinstance(classes, str):
        return
    local = os.path.isfile(dataset.ann_file) and os.path.getsize(dataset.ann_file) < _READ_TWICE_BYTES
    if not (thorough or local or len(dataset.cat_ids) != len(classes)):
        return
    names = categories_of(dataset)
    if names is None:
        return
    missing = [name for name in classes if name not in names]
    if missing:
        raise ConfigError(
            f'metainfo.classes: no category of {dataset.ann_file!r} is called {shown(missing)}. '
            f'It has {shown(names) or "none"}.{nearest(missing[0], names)}'
        )
    ordered = [name for name in names if name in classes]
    if ordered != list(classes):
        raise ConfigError(
            f'metainfo.classes = {tuple(classes)}: {dataset.ann_file!r} has {tuple(ordered)}, and the labels are '
            'numbered in the order of the file. Give the classes in that order, each once'
        )


def check_objects(dataset: Any, infos: Iterable[Mapping[str, Any]]) -> None:
    """Look for one object to train on.

    Raises:
        ConfigError: if the samples have objects by their format, and none by their content.
    """
    seen = False
    for info in infos:
        if 'instances' not in info or info['instances']:
            return
        seen = True
    if seen:
        classes = dataset.metainfo.get('classes') or []
        raise ConfigError(f' has no object of the classes {shown(classes)}{_names_in_xml(dataset)}')


def _names_in_xml(dataset: Any) -> str:
    """What the objects of VOC's format are called, where none is called as a class is."""
    infos = (dataset.data_list or [dataset.get_data_info(i) for i in range(len(dataset))])[:_FILES_NAMED]
    paths = [info['xml_path'] for info in infos if 'xml_path' in info]
    names = {item.findtext('name') or '' for path in paths for item in ElementTree.parse(path).iter('object')}
    return f'; its objects are called {shown(sorted(names))}' if names else ''


def check_classes(dataset: Any, place: str, targets: Targets) -> None:
    """Compare the classes of a dataset with those of the model's heads.

    Raises:
        ConfigError: with every head that has another number of classes.
    """
    metainfo = getattr(dataset, 'metainfo', None) or {}
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
