"""Sizes and channels of image files, read off their headers: against the annotations, and of pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from mmlocal.errors import ConfigError
from mmlocal.hosts import HOSTS
from mmlocal.validation.data.images import paths_of, read_keys
from mmlocal.validation.data.targets import Targets

__all__ = ['Looked', 'check_headers']

_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
# Those of label maps as they should be: one number a pixel. A palette is one for Pillow, and three for OpenCV.
_ONE_CHANNEL = ('1', 'L', 'P', 'I', 'F', 'I;16', 'I;16L', 'I;16B')
Size = tuple[int, int]


@dataclass
class _Header:
    """Size of a file (width, height), whether EXIF turns it by 90 degrees, and Pillow's mode."""

    size: Size
    turned: bool
    mode: str

    @property
    def upright(self) -> Size:
        return (self.size[1], self.size[0]) if self.turned else self.size


@dataclass
class Looked:
    """What the headers have shown.

    Attributes:
        odd: what may be meant, each as the rest of a sentence.
        suspects: samples that have to be read to tell whether they are wrong.
    """

    odd: list[str] = field(default_factory=list)
    suspects: list[int] = field(default_factory=list)


def check_headers(dataset: Any, targets: Targets, chosen: Sequence[int]) -> Looked:
    """Look at the headers of the images of samples: some 50 µs a file.

    Args:
        dataset: one that reads files.
        targets: what the model is made for.
        chosen: samples to look at.

    Raises:
        ConfigError: if label maps have another size than their image, or several channels.
    """
    keys, looked, found = read_keys(dataset), Looked(), _Found(len(chosen))
    for i in chosen:
        info = dataset.get_data_info(i)
        headers = {key: (path, header) for key, path in paths_of(info, keys) if (header := _header(path))}
        image = headers.get('img_path')
        if image and 'seg_map_path' in headers:
            found.add_map(image, headers['seg_map_path'], _reads_palettes(dataset))
        if image and 'gt_path' in headers and _differs(image[1], headers['gt_path'][1], targets):
            looked.suspects.append(i)
        if image and isinstance(info.get('width'), (int, float)) and isinstance(info.get('height'), (int, float)):
            found.add_record(image, (info['width'], info['height']), _turns(dataset))
    found.report()
    looked.odd += found.odd()
    return looked


def _header(path: str) -> _Header | None:
    """Of a file that cannot be opened, nothing: whoever reads it tells."""
    try:
        with Image.open(path) as image:
            return _Header(image.size, image.getexif().get(_ORIENTATION) in _TURNED, image.mode)
    except Exception:  # whatever a broken header makes Pillow raise
        return None


def _transforms(dataset: Any) -> Iterator[Any]:
    yield from getattr(getattr(dataset, 'pipeline', None), 'transforms', ())


def _turns(dataset: Any) -> bool:
    """Whether images are turned as their EXIF data say: so OpenCV does for colours."""
    flags = [getattr(one, 'color_type', '') for one in _transforms(dataset) if hasattr(one, 'imdecode_backend')]
    return all(flag in ('', 'color', 'grayscale') for flag in flags)


def _reads_palettes(dataset: Any) -> bool | None:
    """Whether a palette stays one number a pixel; None where label maps are not read as the hosts read plain ones.

    Panoptic maps have three channels, and transforms of one's own may make numbers of colours.
    """
    loaders = [one for one in _transforms(dataset) if getattr(one, 'with_seg', False)]
    if not all(type(one).__name__ == 'LoadAnnotations' and _is_a_hosts(one) for one in loaders):
        return None
    return all(getattr(one, 'imdecode_backend', '') == 'pillow' for one in loaders)


def _is_a_hosts(transform: Any) -> bool:
    return type(transform).__module__.split('.')[0] in HOSTS


def _differs(image: _Header, target: _Header, targets: Targets) -> bool:
    scale = next(iter(targets.scale.values()), 0)
    return bool(scale) and target.upright != tuple(scale * side for side in image.upright)


class _Found:
    """What is wrong with label maps, and images whose annotations have another size."""

    def __init__(self, looked: int) -> None:
        self.looked = looked
        self.channels: list[str] = []
        self.sizes: list[str] = []
        self.records: list[tuple[str, _Header, Size]] = []

    def add_map(self, image: tuple[str, _Header], labels: tuple[str, _Header], palettes: bool | None) -> None:
        (path, header), (map_path, labelled) = image, labels
        if palettes is None:
            return
        if labelled.mode not in _ONE_CHANNEL or (labelled.mode == 'P' and not palettes):
            self.channels.append(f'{map_path!r} has the channels {labelled.mode}')
        elif labelled.size not in (header.size, header.upright):
            self.sizes.append(
                f'{map_path!r} has {_text(labelled.size)} pixels, its image {path!r} {_text(header.upright)}'
            )

    def add_record(self, image: tuple[str, _Header], told: Size, turns: bool) -> None:
        path, header = image
        if told != (header.upright if turns else header.size):
            self.records.append((path, header, told))

    def report(self) -> None:
        """Raise what cannot be meant.

        Raises:
            ConfigError: if there is any.
        """
        faults = []
        if self.channels:
            faults.append(
                f' has label maps that are pictures of colours: {self.channels[0]}. So have {len(self.channels)} of '
                f'{self.looked} looked at. A label map has one channel, with the number of a class in each pixel: '
                'write them so, as PNG of mode L'
            )
        if self.sizes:
            faults.append(
                f' has label maps of another size than their image: {self.sizes[0]}. So have {len(self.sizes)} of '
                f'{self.looked} looked at. Resize the label maps by nearest neighbour to the size of their image'
            )
        if faults:
            raise ConfigError(*faults)

    def odd(self) -> list[str]:
        if not self.records:
            return []
        path, header, told = self.records[0]
        turned = sum(one.turned for _, one, _ in self.records)
        exif = f', and the EXIF data of {turned} say that they are to be turned by 90 degrees' if turned else ''
        return [
            f'{len(self.records)} of {self.looked} images looked at have another size than their annotations '
            f'say{exif}: '
            f'{path!r} is read with {_text(header.upright)} pixels, and the annotations have {_text(told)}. Boxes that '
            'are outside of the latter are dropped: write the size as read into the annotations'
        ]


def _text(size: Size) -> str:
    return f'{size[0]:g} x {size[1]:g}'
