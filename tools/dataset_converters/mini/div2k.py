"""Write the shipped photographs in the layout of DIV2K (https://data.vision.ee.ethz.ch/cvl/DIV2K/).

`DIV2K_train_HR/0001.png`, `DIV2K_train_LR_bicubic/X2/0001x2.png` and so on for X3 and X4, and the same
with `valid`, as the stock `BasicImageDataset` reads them.
"""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from .photos import Split, read_photo, shipped_photos

SCALES = (2, 3, 4)
MULTIPLE = 12
"""Sides are cut to a multiple, so that every scale divides them."""
LARGEST: dict[Split, int] = {'train': 1024, 'val': 384}
"""Larger photographs are reduced to this side, in pixels: a validation then takes seconds."""
FIRST: dict[Split, int] = {'train': 1, 'val': 801}
FOLDERS: dict[Split, str] = {'train': 'train', 'val': 'valid'}


def export_div2k(root: Path, split: Split) -> int:
    """Write one split: every photograph in full and bicubically reduced by 2, 3 and 4.

    The reduction is Pillow's bicubic filter, which is widened by the scale (antialiased), as MATLAB's is
    that DIV2K was made with; the last digits of a pixel may differ from it.

    Args:
        root: Folder of the dataset, made where it is missing; files of the same names are overwritten.
        split: 'train' or 'val', whose photographs are disjoint.

    Returns:
        Number of photographs.

    Raises:
        ValueError: `split` is neither 'train' nor 'val'.
        OSError: `root` cannot be written.
    """
    count = 0
    for number, image in enumerate(_photographs(split), start=FIRST[split]):
        base = f'DIV2K_{FOLDERS[split]}'
        _save(image, root / f'{base}_HR' / f'{number:04d}.png')
        for scale in SCALES:
            size = (image.width // scale, image.height // scale)
            reduced = image.resize(size, Image.Resampling.BICUBIC)
            _save(reduced, root / f'{base}_LR_bicubic' / f'X{scale}' / f'{number:04d}x{scale}.png')
        count += 1
    return count


def _photographs(split: Split) -> Iterator[Image.Image]:
    for photo in shipped_photos(split):
        image = Image.fromarray(read_photo(photo))
        image.thumbnail((LARGEST[split], LARGEST[split]), Image.Resampling.LANCZOS)
        yield image.crop((0, 0, image.width - image.width % MULTIPLE, image.height - image.height % MULTIPLE))


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
