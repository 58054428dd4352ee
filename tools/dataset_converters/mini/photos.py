"""The photographs that the scikit-image and scikit-learn wheels ship, split into train and val.

The files are opened in the packages' own folders: `skimage.data` would fetch what is not there.
The split is a table and not a draw, so that no seed can put a photograph on both sides. Left out
are what is no photograph, near-duplicates, what states no licence, and `page` and `text`, whose
unlabelled handwriting would be background to a detector of digits.
"""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Split = Literal['train', 'val']
SPLITS: tuple[Split, ...] = get_args(Split)

CC0 = 'CC0 1.0'
PUBLIC = 'Public domain'
CC_BY = 'CC BY 2.0'
LICENSE_URLS = {
    CC0: 'https://creativecommons.org/publicdomain/zero/1.0/',
    PUBLIC: 'https://creativecommons.org/publicdomain/mark/1.0/',
    CC_BY: 'https://creativecommons.org/licenses/by/2.0/',
}

_SKIMAGE = ('skimage', 'data')
_SKLEARN = ('sklearn', 'datasets/images')
_TABLE: dict[Split, dict[str, tuple[tuple[str, str], str]]] = {
    'train': {
        'astronaut.png': (_SKIMAGE, PUBLIC),
        'brick.png': (_SKIMAGE, CC0),
        'camera.png': (_SKIMAGE, CC0),
        'china.jpg': (_SKLEARN, CC_BY),
        'clock_motion.png': (_SKIMAGE, PUBLIC),
        'coffee.png': (_SKIMAGE, CC0),
        'coins.png': (_SKIMAGE, PUBLIC),
        'gravel.png': (_SKIMAGE, CC0),
        'hubble_deep_field.jpg': (_SKIMAGE, PUBLIC),
        'ihc.png': (_SKIMAGE, PUBLIC),
        'rocket.jpg': (_SKIMAGE, PUBLIC),
    },
    'val': {
        'chelsea.png': (_SKIMAGE, CC0),
        'flower.jpg': (_SKLEARN, CC_BY),
        'grass.png': (_SKIMAGE, CC0),
        'retina.jpg': (_SKIMAGE, CC0),
    },
}


@dataclass(frozen=True)
class Photo:
    """A photograph on disk.

    Args:
        name: File name, unique over both splits.
        path: Where the installed package has it.
        license: Name of its licence, a key of `LICENSE_URLS`, as its package states it.
    """

    name: str
    path: Path
    license: str


def shipped_photos(split: Split) -> tuple[Photo, ...]:
    """The photographs of one split, sorted by name; the splits share none.

    Args:
        split: 'train' or 'val'.

    Returns:
        11 photographs for 'train', 4 for 'val'.

    Raises:
        ValueError: `split` is neither.
        FileNotFoundError: A package, or one of its files, is not installed; all are named.

    Example:
        >>> [photo.name for photo in shipped_photos('val')]
        ['chelsea.png', 'flower.jpg', 'grass.png', 'retina.jpg']
    """
    if split not in SPLITS:
        raise ValueError(f'split = {split!r} is not one of {", ".join(map(repr, SPLITS))}')
    entries = sorted(_TABLE[split].items())
    photos = tuple(Photo(name, _folder(*where) / name, license_) for name, (where, license_) in entries)
    missing = [str(photo.path) for photo in photos if not photo.path.is_file()]
    if missing:
        raise FileNotFoundError(f'not shipped by the installed packages: {", ".join(missing)}')
    return photos


def _folder(package: str, inside: str) -> Path:
    """A folder of an installed package, found without importing the package."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f'package {package!r}, which ships some of the photographs, is not installed')
    return Path(spec.origin).parent / inside


@cache
def read_photo(photo: Photo) -> NDArray[np.uint8]:
    """Pixels of a photograph, kept in memory after the first read (about 18 MB for all of them).

    Args:
        photo: One of `shipped_photos`.

    Returns:
        RGB image of shape (H, W, 3), read-only; a grey photograph has three equal channels.

    Raises:
        OSError: The file cannot be read or is no image.
    """
    with Image.open(photo.path) as image:
        pixels = np.array(image.convert('RGB'), dtype=np.uint8)
    pixels.setflags(write=False)
    return pixels
