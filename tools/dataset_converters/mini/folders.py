"""Write digits as folders of images, one a class, as ImageNet and the stock `CustomDataset` have them.

`train/zero/00001.png` and on, `val/zero/…`. A scene gives the image of its first digit's class.
"""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from .digits import CLASSES
from .photos import Split
from .scenes import Scene, SceneSpec

SIDE = 32
"""Height and width of an image, in pixels."""
ONE_DIGIT = SceneSpec(size=64, heights=(0.6, 0.95), max_objects=1, empty=0.0, overhang=0.0)
"""Scenes for classification: one digit that fills most of the image."""


def export_folders(root: Path, split: Split, scenes: Iterable[Scene]) -> int:
    """Write one split, reduced to `SIDE` pixels.

    Args:
        root: Folder of the dataset, made where it is missing; files of the same names are overwritten.
        split: 'train' or 'val'.
        scenes: With one digit each, such as those of `ONE_DIGIT`; numbered from 1 in their order.

    Returns:
        Number of images.

    Raises:
        ValueError: A scene has not exactly one digit.
        OSError: `root` cannot be written.
    """
    for name in CLASSES:
        (root / split / name).mkdir(parents=True, exist_ok=True)
    count = 0
    for number, scene in enumerate(scenes, start=1):
        if len(scene.objects) != 1:
            raise ValueError(f'scene {number} has {len(scene.objects)} digits, and an image has one class')
        image = Image.fromarray(scene.image).resize((SIDE, SIDE), Image.Resampling.BOX)
        image.save(root / split / CLASSES[scene.objects[0].label] / f'{number:05d}.png')
        count += 1
    return count
