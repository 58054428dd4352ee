"""Fashion-MNIST with a validation split, from the files as Debian or torchvision lay them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray

from mmlocal.datasets.idx import read_idx
from mmlocal.errors import ConfigError
from mmlocal.registry import DATASETS

__all__ = ['VAL_IMAGES', 'FashionMNIST', 'find_fashion_mnist', 'held_out']

CLASSES = (
    'T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot',
)  # fmt: skip
SPLITS = ('train', 'val', 'trainval', 'test')
PLACES = ('/usr/share/datasets/fashion-mnist', 'data')
"""Where the files are looked for if nothing is said: where Debian's package puts them, and torchvision's root."""
_BELOW = ('.', 'raw', 'FashionMNIST/raw')
VAL_IMAGES = 500
_SEED = 0


@DATASETS.register_module()
class FashionMNIST(BaseDataset):
    """Fashion-MNIST (arXiv 1708.07747); a pipeline gets `img` (28, 28, 3), its three channels equal, and `gt_label`.

    Three channels, so that every network and every reconstruction takes the images as any others. The
    files may be gzipped or not; nothing is downloaded.

    Args:
        split: `train` and `val` are the training files divided by `held_out`, `trainval` is all of them,
            `test` is the test files alone.
        data_root: folder with the four files, or the root that torchvision was given; None looks in `PLACES`.
        val_images: images of each class that are held out of `train` for `val`.
        **kwargs: further arguments of mmengine's `BaseDataset`.

    Raises:
        ConfigError: if the split is unknown, files are not there or not whole, or too few are left to train on.
    """

    METAINFO = dict(classes=CLASSES)

    def __init__(self, split: str, data_root: str | None = None, val_images: int = VAL_IMAGES, **kwargs: Any) -> None:
        if split not in SPLITS:
            raise ConfigError(f'split = {split!r} is not one of {", ".join(SPLITS)}')
        self._split, self._val_images = split, val_images
        super().__init__(data_root=data_root or '', **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Images and labels of the split, in the order of the files."""
        kind = 't10k' if self._split == 'test' else 'train'
        folder = find_fashion_mnist(self.data_root or None)
        images = read_idx(_file(folder, f'{kind}-images-idx3-ubyte'))
        labels = read_idx(_file(folder, f'{kind}-labels-idx1-ubyte'))
        if images.shape != (len(labels), 28, 28):
            raise ConfigError(f'{str(folder)!r} has {kind} images {images.shape} for {len(labels)} labels')
        if self._split in ('train', 'val'):
            chosen = held_out(labels, self._val_images)
            if self._split == 'train':
                chosen = np.setdiff1d(np.arange(len(labels)), chosen)
            images, labels = images[chosen], labels[chosen]
        return [
            dict(img=np.repeat(image[..., None], 3, axis=2), gt_label=int(label))
            for image, label in zip(images, labels, strict=True)
        ]


def held_out(labels: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    """Which training images validate: of each class the same number, by a fixed seed that no setting changes.

    Args:
        labels: (N,), of the training images.
        count: of each class.

    Returns:
        Indices, rising.

    Raises:
        ConfigError: if a class has not more than `count` images, so that none were left to train on.

    Example:
        >>> held_out(np.repeat(np.arange(2, dtype=np.uint8), 10), 2) // 10
        array([0, 0, 1, 1])
    """
    classes, sizes = np.unique(labels, return_counts=True)
    if not 0 < count < sizes.min():
        raise ConfigError(
            f'val_images = {count} has to be above 0 and below {sizes.min()}, the images of the smallest class'
        )
    rng = np.random.default_rng(_SEED)
    of_each = [rng.choice(np.flatnonzero(labels == one), count, replace=False) for one in classes]
    return np.sort(np.concatenate(of_each))


def find_fashion_mnist(data_root: str | None = None) -> Path:
    """The folder with the files: `data_root` itself, its `raw` or its `FashionMNIST/raw`; None looks in `PLACES`.

    Raises:
        ConfigError: if a file is in none of them; it says how to get them.
    """
    roots = (data_root,) if data_root else PLACES
    for folder in (Path(root) / below for root in roots for below in _BELOW):
        if all(_found(folder, f'{kind}-{what}') for kind in ('train', 't10k') for what in _FILES):
            return folder
    raise ConfigError(
        f'Fashion-MNIST is not in {" or ".join(map(repr, roots))}. Get it by one of these: '
        '(1) apt-get install dataset-fashion-mnist, which puts it into /usr/share/datasets/fashion-mnist; '
        '(2) python -c "from torchvision.datasets import FashionMNIST; FashionMNIST(\'data\', download=True)", '
        "and data_root = 'data'"
    )


_FILES = ('images-idx3-ubyte', 'labels-idx1-ubyte')


def _found(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f'{name}.gz') if path.is_file()), None)


def _file(folder: Path, name: str) -> Path:
    path = _found(folder, name)
    if path is None:
        raise ConfigError(f'{str(folder)!r} has no {name}')
    return path
