"""Datasets of torchvision that mmpretrain lacks, in mmpretrain's form."""

from __future__ import annotations

from typing import Any

import torchvision
from mmengine.dataset import BaseDataset

from mmlocal.errors import ConfigError
from mmlocal.registry import DATASETS

__all__ = ['TorchvisionDataset']

_CLASSES = {
    'SVHN': tuple('0123456789'),
    'STL10': ('airplane', 'bird', 'car', 'cat', 'deer', 'dog', 'horse', 'monkey', 'ship', 'truck'),
}


@DATASETS.register_module()
class TorchvisionDataset(BaseDataset):
    """SVHN or STL-10 as torchvision reads it; a pipeline gets `img` (H, W, 3), RGB, and `gt_label`.

    Nothing is downloaded: `docs/datasets.md` says which files belong into `data_root`.

    Args:
        name: `SVHN` or `STL10`.
        split: `train` or `test`.
        data_root: folder with torchvision's files.
        **kwargs: further arguments of mmengine's `BaseDataset`.

    Raises:
        ConfigError: if the name is unknown, or the files are not there or not whole.
    """

    def __init__(self, name: str, split: str, data_root: str, **kwargs: Any) -> None:
        if name not in _CLASSES:
            raise ConfigError(f'name = {name!r} is not one of {", ".join(_CLASSES)}')
        self._name, self._split = name, split
        super().__init__(data_root=data_root, metainfo=dict(classes=_CLASSES[name]), **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """All images and labels, in the order of the files."""
        try:
            read = getattr(torchvision.datasets, self._name)(self.data_root, self._split, download=False)
        except RuntimeError as error:
            raise ConfigError(
                f'data_root = {self.data_root!r} has no whole {self._name} ({self._split}): {error} docs/datasets.md '
                'says where to get it'
            ) from error
        images = read.data.transpose(0, 2, 3, 1)
        return [dict(img=image, gt_label=int(label)) for image, label in zip(images, read.labels, strict=True)]
