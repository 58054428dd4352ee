"""Write scenes in the layout of Pascal VOC 2007 (http://host.robots.ox.ac.uk/pascal/VOC/voc2007/).

`VOC2007/JPEGImages/000001.jpg`, `VOC2007/Annotations/000001.xml`, and `VOC2007/ImageSets/Main/` with the
names of each split, as the stock `VOCDataset` and `VOCMetric` read them.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from .digits import CLASSES
from .photos import Split
from .scenes import Scene, SceneObject

JPEG_QUALITY = 95
DIFFICULT = 0.8
"""Digits of which less is visible are marked as difficult: VOC's metric leaves them out."""
IMAGE_SETS: dict[Split, str] = {'train': 'trainval', 'val': 'test'}
"""What VOC 2007 calls the images to train on and to be judged by."""
_FIRST: dict[Split, int] = {'train': 1, 'val': 500001}


def export_voc(root: Path, split: Split, scenes: Iterable[Scene]) -> int:
    """Write one split: images as JPEG, an annotation file each, and the list of their names.

    Args:
        root: Folder of the dataset, made where it is missing; files of the same names are overwritten.
        split: 'train' or 'val', which VOC calls `trainval` and `test`.
        scenes: Taken one at a time.

    Returns:
        Number of annotated digits.

    Raises:
        OSError: `root` cannot be written.
    """
    base, names, count = root / 'VOC2007', [], 0
    folders = {name: base / name for name in ('JPEGImages', 'Annotations', 'ImageSets/Main')}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(scenes, start=_FIRST[split]):
        name = f'{number:06d}'
        Image.fromarray(scene.image).save(folders['JPEGImages'] / f'{name}.jpg', quality=JPEG_QUALITY)
        annotation = ElementTree.ElementTree(annotation_of(scene, name))
        ElementTree.indent(annotation)
        annotation.write(folders['Annotations'] / f'{name}.xml')
        names.append(name)
        count += len(scene.objects)
    (folders['ImageSets/Main'] / f'{IMAGE_SETS[split]}.txt').write_text('\n'.join(names) + '\n')
    return count


def annotation_of(scene: Scene, name: str) -> ElementTree.Element:
    """The content of an annotation file."""
    root = ElementTree.Element('annotation')
    height, width = scene.image.shape[:2]
    _add(root, folder='VOC2007', filename=f'{name}.jpg')
    _add(ElementTree.SubElement(root, 'source'), database='Mini VOC: handwritten digits on photographs')
    _add(ElementTree.SubElement(root, 'size'), width=width, height=height, depth=3)
    _add(root, segmented=0)
    for item in scene.objects:
        root.append(_object(item))
    return root


def _object(item: SceneObject) -> ElementTree.Element:
    element = ElementTree.Element('object')
    x, y, width, height = item.bbox
    _add(element, name=CLASSES[item.label], pose='Unspecified', truncated=int(item.truncated))
    _add(element, difficult=int(item.visible < DIFFICULT))
    # VOC counts pixels from 1, and a box includes its last ones.
    box = ElementTree.SubElement(element, 'bndbox')
    _add(box, xmin=x + 1, ymin=y + 1, xmax=x + width, ymax=y + height)
    return element


def _add(parent: ElementTree.Element, **texts: object) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(parent, tag).text = str(text)
