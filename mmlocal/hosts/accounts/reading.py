"""Looking at what datasets read while they read it, so that no large file is read a second time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NamedTuple
from unittest import mock
from xml.etree import ElementTree

import mmengine
from mmengine.dataset import BaseDataset

from mmlocal.hosts.accounts.account import Account
from mmlocal.hosts.accounts.coco_file import CocoFile, examine

__all__ = ['Kept', 'Reading', 'XmlObject', 'current_reading', 'reading']


@dataclass
class Kept:
    """What a dataset has kept.

    Attributes:
        images: how many.
        keys: of the images: their ids, or the paths of their files, in order.
        images_seen: a hash of each image's path or, without one, of its pixels.
        objects: how many there are to learn from, by label; None where samples have none.
        ignored: objects that are kept, and that losses leave out.
        labels: images by label, where an image has one.
    """

    images: int = 0
    keys: list[Hashable] = field(default_factory=list)
    images_seen: set[int] = field(default_factory=set)
    objects: Counter[int] | None = None
    ignored: int = 0
    labels: Counter[int] | None = None

    @classmethod
    def of(cls, infos: Iterable[Mapping[str, Any]]) -> Kept:
        """Count samples."""
        kept = cls()
        for info in infos:
            kept.images += 1
            key = info.get('img_id', info.get('img_path', info.get('gt_path')))
            kept.keys.append(key if isinstance(key, Hashable) else str(key))
            kept._see(info)
            if 'instances' in info:
                kept._count(info['instances'])
            label = info.get('gt_label')
            if label is not None and getattr(label, 'size', 1) == 1 and not isinstance(label, (list, tuple)):
                kept.labels = Counter() if kept.labels is None else kept.labels
                kept.labels[int(label)] += 1
        return kept

    def _see(self, info: Mapping[str, Any]) -> None:
        path, pixels = info.get('img_path', info.get('gt_path')), info.get('img')
        if path is not None:
            self.images_seen.add(hash(str(path)))
        elif pixels is not None and hasattr(pixels, 'tobytes'):
            self.images_seen.add(hash(pixels.tobytes()))

    def _count(self, instances: Iterable[Mapping[str, Any]]) -> None:
        self.objects = Counter() if self.objects is None else self.objects
        for one in instances:
            if one.get('ignore_flag'):
                self.ignored += 1
            else:
                self.objects[one.get('bbox_label', 0)] += 1


class XmlObject(NamedTuple):
    """An object of VOC's format; `short` is the shorter side of its box in pixels."""

    name: str
    difficult: bool
    short: float

    @classmethod
    def of(cls, item: ElementTree.Element) -> XmlObject:
        """Read one that a dataset can read."""
        x1, y1, x2, y2 = (_number(item.findtext(f'bndbox/{corner}')) for corner in ('xmin', 'ymin', 'xmax', 'ymax'))
        difficult = (item.findtext('difficult') or '0').strip() != '0'
        return cls(item.findtext('name') or '', difficult, min(x2 - x1, y2 - y1))


def _number(text: str | None) -> float:
    try:
        return float(text or 'nan')
    except ValueError:
        return float('nan')


class Reading:
    """What has been read so far: annotation files by their path, and what each dataset has kept."""

    def __init__(self) -> None:
        self._coco: dict[str, CocoFile] = {}
        self._xml: dict[str, list[XmlObject]] = {}
        self.accounts: dict[int, tuple[Any, Account]] = {}
        self._kept: dict[int, tuple[Any, Kept]] = {}

    def coco_file(self, path: str, backend_args: Any = None) -> CocoFile:
        """A file of COCO's format; it is read if no dataset or metric has."""
        if path not in self._coco:
            self.note_coco(path, mmengine.load(path, backend_args=backend_args))
        return self._coco[path]

    def has_coco(self, path: str) -> bool:
        """Whether a dataset or a metric has read `path` as a file of COCO's format."""
        return path in self._coco

    def xml(self, path: str) -> list[XmlObject]:
        """The objects of an XML file; it is read if no dataset has."""
        if path not in self._xml:
            self.note_xml(path, ElementTree.parse(path).getroot())
        return self._xml[path]

    def kept(self, dataset: Any) -> Kept:
        """What a dataset has kept."""
        if id(dataset) not in self._kept:
            self.note_kept(dataset, (dataset.get_data_info(i) for i in range(len(dataset))))
        return self._kept[id(dataset)][1]

    def note_coco(self, path: str, content: Any) -> None:
        """Look at the content of a file."""
        self._coco[path] = examine(path, content)

    def note_xml(self, path: str, root: ElementTree.Element) -> None:
        """Keep what is told of the objects of an XML file."""
        self._xml[path] = [XmlObject.of(item) for item in root.findall('object')]

    def note_kept(self, dataset: Any, infos: Iterable[Mapping[str, Any]]) -> None:
        """Count what a dataset has kept, and hold on to it: its id is not to be another's."""
        self._kept[id(dataset)] = dataset, Kept.of(infos)


_READING: ContextVar[Reading | None] = ContextVar('reading', default=None)


def current_reading() -> Reading:
    """The one that is going on, or one that knows nothing yet."""
    return _READING.get() or Reading()


@contextmanager
def reading() -> Iterator[Reading]:
    """Take note of what is read inside: annotation files as they are parsed, samples before they are serialised.

    Within another one it is that one.
    """
    outer = _READING.get()
    if outer is not None:
        yield outer
        return
    notes = Reading()
    token = _READING.set(notes)
    try:
        with (
            mock.patch.object(BaseDataset, '_serialize_data', _noting_samples(notes)),
            mock.patch.object(ElementTree, 'parse', _noting_xml(notes)),
            _coco_noted(notes),
        ):
            yield notes
    finally:
        _READING.reset(token)


def _noting_samples(notes: Reading) -> Callable[[Any], Any]:
    original = BaseDataset._serialize_data

    def serialize(self: Any) -> Any:
        notes.note_kept(self, self.data_list)
        return original(self)

    return serialize


def _noting_xml(notes: Reading) -> Callable[..., Any]:
    original = ElementTree.parse

    def parse(source: Any, *args: Any, **kwargs: Any) -> Any:
        tree = original(source, *args, **kwargs)
        if isinstance(source, (str, os.PathLike)):
            notes.note_xml(str(source), tree.getroot())
        return tree

    return parse


@contextmanager
def _coco_noted(notes: Reading) -> Iterator[None]:
    """Datasets and metrics of all hosts read COCO's format by this class."""
    if find_spec('pycocotools') is None:
        yield
        return
    from pycocotools.coco import COCO

    original = COCO.__init__

    def init(self: Any, annotation_file: Any = None) -> None:
        try:
            original(self, annotation_file)
        finally:  # it stumbles over what is told then
            content = getattr(self, 'dataset', None)
            if annotation_file is not None and content and not notes.has_coco(str(annotation_file)):
                notes.note_coco(str(annotation_file), content)

    with mock.patch.object(COCO, '__init__', init):
        yield
