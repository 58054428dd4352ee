"""Write scenes in the layout of Cityscapes (https://www.cityscapes-dataset.com), with train ids.

`leftImg8bit/train/CITY/CITY_000001_000019_leftImg8bit.png` and
`gtFine/train/CITY/CITY_000001_000019_gtFine_labelTrainIds.png`, `CITY` being the photograph behind the
scene. Ids are those of the digits and one of the background; around every digit lies a rim of `VOID`.
"""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .digits import CLASSES
from .photos import Split
from .scenes import Scene

SEGMENT_CLASSES = (*CLASSES, 'background')
BACKGROUND = len(CLASSES)
VOID = 255


def export_cityscapes(root: Path, split: Split, scenes: Iterable[Scene]) -> int:
    """Write one split: images and label maps, both as PNG.

    Args:
        root: Folder of the dataset, made where it is missing; files of the same names are overwritten.
        split: 'train' or 'val'.
        scenes: Taken one at a time, numbered from 1 in their order.

    Returns:
        Number of segmented digits.

    Raises:
        OSError: `root` cannot be written.
    """
    count = 0
    for number, scene in enumerate(scenes, start=1):
        city = Path(scene.photo).stem.replace('_', '')
        name = f'{city}_{number:06d}_000019'
        for kind, ending, pixels in (
            ('leftImg8bit', 'leftImg8bit', scene.image),
            ('gtFine', 'gtFine_labelTrainIds', label_map(scene)),
        ):
            path = root / kind / split / city / f'{name}_{ending}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        count += len(scene.objects)
    return count


def label_map(scene: Scene) -> NDArray[np.uint8]:
    """Train id of every pixel, (H, W): a digit's label, `BACKGROUND`, or `VOID` along a digit's outline."""
    labels = np.full(scene.image.shape[:2], BACKGROUND, np.uint8)
    for item in scene.objects:
        labels[item.mask] = item.label
    for item in scene.objects:
        mask = item.mask.astype(np.uint8)
        labels[cv2.dilate(mask, np.ones((3, 3), np.uint8)) > mask] = VOID
    return labels
