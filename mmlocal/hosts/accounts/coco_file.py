"""An annotation file of COCO's format: its columns, and records that cannot be meant."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['CocoFile', 'examine']

_SECTIONS = ('images', 'annotations', 'categories')


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _is_key(value: Any) -> bool:
    return isinstance(value, str) or _is_number(value)


def _is_box(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 4 and all(map(_is_number, value))


@dataclass(frozen=True)
class _Field:
    section: str
    name: str
    holds: Callable[[Any], bool]
    allowed: str
    remedy: str


# What the hosts read of a record whatever they do with it.
_FIELDS = (
    _Field('images', 'id', _is_key, 'a number of its own', 'number the images'),
    _Field(
        'images', 'file_name', lambda v: isinstance(v, str), 'the name of a file', 'name the file, or remove the image'
    ),
    _Field('images', 'width', _is_number, 'a number of pixels', 'write the width of the file there'),
    _Field('images', 'height', _is_number, 'a number of pixels', 'write the height of the file there'),
    _Field('annotations', 'id', _is_key, 'a number of its own', 'number the annotations from 1 on'),
    _Field('annotations', 'image_id', _is_key, 'the id of an image', 'correct or remove them'),
    _Field('annotations', 'category_id', _is_key, 'the id of a category', 'correct or remove them'),
    _Field('annotations', 'bbox', _is_box, 'four finite numbers, x, y, width, height', 'correct or remove them'),
    _Field('annotations', 'area', _is_number, 'a number of pixels', 'write width * height of the bbox there'),
    _Field('categories', 'id', _is_key, 'a number of its own', 'number the categories'),
    _Field('categories', 'name', lambda v: isinstance(v, str), 'a text', 'give it a name'),
)


@dataclass
class CocoFile:
    """A file without its polygons.

    Attributes:
        path: of the file.
        faults: what is wrong with its records, each as a sentence that begins with the path.
        categories: ids and names, in order.
        image_ids: of the images, in order; without records that are there twice.
        names: of the images' files.
        sizes: width and height of the images (images, 2).
        image_records: how many records of images there are.
        ids: of the annotations.
        rows: place of each annotation's image in `image_ids`, or -1 (annotations,).
        category_ids: of the annotations.
        boxes: x, y, width, height in pixels (annotations, 4).
        areas: in square pixels (annotations,).
        ignore: whether `ignore` is set (annotations,).
        crowd: whether `iscrowd` is set (annotations,).
        without_crowd: places of annotations whose `iscrowd` is missing or null.
        without_outline: places of annotations without a segmentation.
    """

    path: str
    faults: list[str] = field(default_factory=list)
    categories: list[tuple[Any, str]] = field(default_factory=list)
    image_ids: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    sizes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    image_records: int = 0
    ids: list[Any] = field(default_factory=list)
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    category_ids: list[Any] = field(default_factory=list)
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    areas: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    ignore: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    without_crowd: list[int] = field(default_factory=list)
    without_outline: list[int] = field(default_factory=list)

    def record(self, i: int) -> str:
        """An annotation in words: its place, its id, its image."""
        row = int(self.rows[i])
        image = f' of {self.names[row]!r}' if row >= 0 else ''
        return f'annotations[{i}]{image}'


def examine(path: str, content: Any) -> CocoFile:
    """Look at every record once. What is wrong is noted, and nothing raised."""
    file = CocoFile(path)
    if not isinstance(content, Mapping):
        file.faults.append(f'{path!r} holds a {type(content).__name__}: a dict with {", ".join(_SECTIONS)} is needed')
        return file
    sections: dict[str, list[Any]] = {}
    for name in _SECTIONS:
        records = content.get(name) or []
        if not isinstance(records, list) or not all(isinstance(one, Mapping) for one in records):
            file.faults.append(f'{path!r}: {name} is not a list of records')
            return file
        sections[name] = records
    for one in _FIELDS:
        _check_field(file, one, sections[one.section])
    categories = sections['categories']
    file.categories = [(one['id'], one['name']) for one in categories if 'id' in one and 'name' in one]
    if not file.faults:
        _fill(file, sections['images'], sections['annotations'])
        _check_ids(file, sections['images'])
    return file


def _check_field(file: CocoFile, one: _Field, records: Sequence[Mapping[str, Any]]) -> None:
    needed = _needed(one, records)
    wrong = [i for i in needed if not one.holds(records[i].get(one.name))]
    if not wrong:
        return
    first = records[wrong[0]]
    given = f'{one.name} = {first[one.name]!r}' if one.name in first else f'no {one.name}'
    called = next(
        (f' ({name} {first[name]!r})' for name in ('file_name', 'id') if name in first and name != one.name), ''
    )
    file.faults.append(
        f'{file.path!r}: {one.section}[{wrong[0]}]{called} has {given}, where {one.allowed} is needed. So it is in '
        f'{len(wrong)} of {len(records)} {one.section}: {one.remedy}'
    )


def _needed(one: _Field, records: Sequence[Mapping[str, Any]]) -> Sequence[int]:
    """Places of records that need the field: what is to be ignored needs no box."""
    if one.name in ('bbox', 'area'):
        return [i for i, record in enumerate(records) if not record.get('ignore')]
    return range(len(records))


def _fill(file: CocoFile, images: list[Any], annotations: list[Any]) -> None:
    places: dict[Any, int] = {}
    for image in images:
        places.setdefault(image['id'], len(places))
    by_id = {image['id']: image for image in images}  # the last of several, as the hosts have it
    file.image_records, file.image_ids = len(images), list(places)
    file.names = [by_id[key]['file_name'] for key in places]
    file.sizes = np.array([(by_id[key]['width'], by_id[key]['height']) for key in places], float).reshape(-1, 2)
    file.ids = [one['id'] for one in annotations]
    file.rows = np.array([places.get(one['image_id'], -1) for one in annotations], np.int64)
    file.category_ids = [one['category_id'] for one in annotations]
    none = (0.0, 0.0, 0.0, 0.0)
    boxes = [one['bbox'] if not one.get('ignore') else none for one in annotations]
    file.boxes = np.array(boxes, float).reshape(-1, 4)
    file.areas = np.array([one['area'] if not one.get('ignore') else 0.0 for one in annotations], float)
    file.ignore = np.array([bool(one.get('ignore')) for one in annotations], bool)
    file.crowd = np.array([bool(one.get('iscrowd')) for one in annotations], bool)
    file.without_crowd = [i for i, one in enumerate(annotations) if one.get('iscrowd') is None]
    file.without_outline = [i for i, one in enumerate(annotations) if not one.get('segmentation')]
    _check_references(file, annotations)


def _check_references(file: CocoFile, annotations: Sequence[Mapping[str, Any]]) -> None:
    """Ids that refer to nothing only because one is a text and the other a number."""
    known = {'image_id': set(file.image_ids), 'category_id': {key for key, _ in file.categories}}
    for name, keys in known.items():
        texts = {str(key): key for key in keys}
        wrong = [i for i, one in enumerate(annotations) if one[name] not in keys and str(one[name]) in texts]
        if wrong:
            value = annotations[wrong[0]][name]
            file.faults.append(
                f'{file.path!r}: annotations[{wrong[0]}] (id {file.ids[wrong[0]]!r}) has {name} = {value!r}, and '
                f'{"images" if name == "image_id" else "categories"} has id {texts[str(value)]!r}: {value!r} is of '
                f'another type, so the two are never matched. So are {len(wrong)} of {len(annotations)}: write '
                f'{name} as the id is written'
            )


def _check_ids(file: CocoFile, images: Sequence[Mapping[str, Any]]) -> None:
    """Ids that several records have, and that stand for different things."""
    seen: dict[Any, int] = {}
    doubled = []
    for i, image in enumerate(images):
        first = seen.setdefault(image['id'], i)
        if images[first]['file_name'] != image['file_name']:
            doubled.append((first, i))
    if doubled:
        first, i = doubled[0]
        file.faults.append(
            f'{file.path!r}: images[{first}] ({images[first]["file_name"]!r}) and images[{i}] '
            f'({images[i]["file_name"]!r}) have the same id, {images[i]["id"]!r}. {len(doubled)} of {len(images)} '
            'images would be lost, and their boxes be those of other images: give each image an id of its own, and its '
            'annotations that image_id. Of two files that were merged, add to all ids of the second one'
        )
    for section, ids in (('annotations', file.ids), ('categories', [key for key, _ in file.categories])):
        places: dict[Any, int] = {}
        twice = [(places[key], i) for i, key in enumerate(ids) if places.setdefault(key, i) != i]
        if twice:
            first, i = twice[0]
            file.faults.append(
                f'{file.path!r}: {section}[{first}] and {section}[{i}] have the same id, {ids[i]!r}. So it is with '
                f'{len(twice)} of {len(ids)}: give each of the {section} an id of its own'
            )
