"""What a dataset of VOC's format keeps: the rules of the hosts' `XMLDataset`, told by reason."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any
from xml.etree import ElementTree

from mmengine.fileio import list_from_file

from mmlocal.errors import nearest
from mmlocal.hosts.accounts.account import Account, Tally
from mmlocal.hosts.accounts.reading import Reading, XmlObject

__all__ = ['voc_account', 'xml_fault']

_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def voc_account(dataset: Any, notes: Reading) -> Account:
    """Hold a list of images and their XML files against what their dataset has kept.

    Args:
        dataset: one that reads its files as mmdet's `XMLDataset` does.
        notes: of what was read.
    """
    names = list_from_file(dataset.ann_file, backend_args=dataset.backend_args)
    kept, classes = notes.kept(dataset), dataset.metainfo['classes']
    images, chosen = Tally(len(names), kept.images), set(kept.keys)
    found = _Found()
    for name in names:
        items = notes.xml(os.path.join(dataset.sub_data_root, dataset.ann_subdir, f'{name}.xml'))
        found.add(dataset, name, items, name in chosen)
    for reason, which in found.images.items():
        images.drop(reason, which)
    images.balance(f'by a rule of {type(dataset).__name__} that is not known here')
    objects = Tally(found.objects, kept.objects.total() if kept.objects else 0)
    for reason, which in found.dropped.items():
        told = reason if reason != _UNKNOWN else f'{reason}: {_names(found.unknown, classes)}'
        objects.drop(told, which)
    objects.balance(f'by a rule of {type(dataset).__name__} that is not known here')
    return Account(images, objects, found.notes() + _doubled(names))


_UNKNOWN = 'their name is none of metainfo.classes'


class _Found:
    """Objects and images by the reason for which they are not used."""

    def __init__(self) -> None:
        self.objects = 0
        self.images: dict[str, list[str]] = {}
        self.dropped: dict[str, list[str]] = {}
        self.unknown: Counter[str] = Counter()
        self.odd: list[str] = []

    def add(self, dataset: Any, name: str, items: list[XmlObject], used: bool) -> None:
        """Go through the objects of an image."""
        rules, classes = dataset.filter_cfg or {}, dataset.metainfo['classes']
        for i, item in enumerate(items):
            self.objects += 1
            record = f'object[{i}] of {name}.xml'
            if item.name not in classes:
                self.unknown[item.name] += 1
                self._drop(_UNKNOWN, record)
            elif item.difficult:
                self._drop('difficult = 1, which the losses leave out', record)
            elif not used:
                self._drop('their image is not used', record)
            elif item.short < (rules.get('bbox_min_size') or -float('inf')):
                self._drop(f'they are below filter_cfg.bbox_min_size = {rules["bbox_min_size"]}', record)
            elif item.short <= 0:
                self.odd.append(record)
        if not used:
            empty = rules.get('filter_empty_gt') and not any(item.name in classes for item in items)
            reason = 'they have no object of the classes (filter_cfg.filter_empty_gt)' if empty else ''
            reason = reason or f'they are below filter_cfg.min_size = {rules.get("min_size", 0)}'
            reason = reason if dataset._indices is None else 'they are not among the indices'
            self.images.setdefault(reason, []).append(name)

    def _drop(self, reason: str, record: str) -> None:
        self.dropped.setdefault(reason, []).append(record)

    def notes(self) -> list[str]:
        """What is kept and should not be."""
        if not self.odd:
            return []
        return [
            f'{len(self.odd)} of {self.objects} objects are used, and width or height of their box is 0 or negative '
            f'({", ".join(self.odd[:3])}{", …" if len(self.odd) > 3 else ""}): xmin < xmax and ymin < ymax are needed'
        ]


def _names(unknown: Counter[str], classes: tuple[str, ...]) -> str:
    """Names that nobody reads, how often they are there, and the class that is nearest."""
    told = [f'{name!r} {count} times.{nearest(name, list(classes))}' for name, count in unknown.most_common(5)]
    return ' '.join(told) + (f' … ({len(unknown)} names)' if len(unknown) > 5 else '')


def _doubled(names: list[str]) -> list[str]:
    twice = [name for name, count in Counter(names).items() if count > 1]
    return [f'{len(twice)} images are named twice in the list ({", ".join(twice[:3])})'] if twice else []


def xml_fault(path: str) -> str:
    """What an XML file of VOC's format lacks, or nothing."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return ''
    size = root.find('size')
    for name in ('width', 'height') if size is not None else ():
        if not _is_number(size.findtext(name) if size is not None else None):
            return f'size has no {name} that is a number of pixels'
    for i, item in enumerate(root.findall('object')):
        called = item.findtext('name')
        if not called:
            return f'object[{i}] has no name'
        difficult = item.findtext('difficult')
        if difficult is not None and not difficult.strip().lstrip('-').isdigit():
            return f'object[{i}] ({called!r}) has difficult = {difficult!r}, and 0 or 1 is needed'
        for corner in _CORNERS:
            if not _is_number(item.findtext(f'bndbox/{corner}')):
                given = item.findtext(f'bndbox/{corner}')
                return f'object[{i}] ({called!r}) has bndbox.{corner} = {given!r}, and a number of pixels is needed'
    return ''


def _is_number(text: str | None) -> bool:
    try:
        return text is not None and float(text) - float(text) == 0
    except ValueError:
        return False
