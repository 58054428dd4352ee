"""Write scenes in the layout of COCO 2017 (https://cocodataset.org/#format-data).

`train2017/000000000001.jpg` and on, `val2017/`, `annotations/instances_train2017.json` and
`annotations/instances_val2017.json`, as the stock `CocoDataset` and `CocoMetric` read them.
"""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import find_contours

from .digits import CLASSES
from .photos import LICENSE_URLS, Photo, Split, shipped_photos
from .scenes import Scene, SceneObject

VERSION = '1.0'
"""Changes whenever the same arguments would give another dataset."""
JPEG_QUALITY = 95
MAX_DEVIATION = 0.45
"""How far a polygon may leave the outline of its mask, in pixels."""


def export_coco(root: Path, split: Split, scenes: Iterable[Scene]) -> dict[str, Any]:
    """Write one split: its images as JPEG, then its annotation file.

    Args:
        root: Folder of the dataset, made where it is missing; files of the same names are overwritten.
        split: 'train' or 'val', names the folder and the file.
        scenes: Taken one at a time, numbered from 1 in their order.

    Returns:
        What the annotation file holds. Beyond COCO's own keys an image names its `photo` and an
        annotation its `digit`, see `Scene` and `SceneObject`.

    Raises:
        ValueError: `split` is unknown, or a scene stands on a photograph of the other split.
        OSError: `root` cannot be written.
    """
    photos = {photo.name: photo for photo in shipped_photos(split)}
    folder = root / f'{split}2017'
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {**_header(), 'images': [], 'annotations': []}
    for number, scene in enumerate(scenes, start=1):
        if scene.photo not in photos:
            raise ValueError(f'scene {number} stands on {scene.photo!r}, which is no photograph of {split!r}')
        image = _image_entry(number, scene, photos[scene.photo])
        Image.fromarray(scene.image).save(folder / image['file_name'], quality=JPEG_QUALITY)
        content['images'].append(image)
        for item in scene.objects:
            content['annotations'].append(_annotation(len(content['annotations']) + 1, number, item))
    target = root / 'annotations' / f'instances_{split}2017.json'
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(content))
    return content


def _header() -> dict[str, Any]:
    return {
        'info': {
            'description': 'Mini COCO: handwritten digits on photographs',
            'url': 'https://scikit-learn.org/stable/datasets/toy_dataset.html#digits-dataset',
            'version': VERSION,
            'year': 2026,
            'contributor': 'mmlocal',
            'date_created': '2026/11/20',
        },
        'licenses': [
            {'id': number, 'name': name, 'url': url} for number, (name, url) in enumerate(LICENSE_URLS.items(), start=1)
        ],
        'categories': [
            {'id': number, 'name': name, 'supercategory': 'digit'} for number, name in enumerate(CLASSES, start=1)
        ],
    }


def _image_entry(number: int, scene: Scene, photo: Photo) -> dict[str, Any]:
    height, width = scene.image.shape[:2]
    return {
        'id': number,
        'file_name': f'{number:012d}.jpg',
        'height': height,
        'width': width,
        'license': list(LICENSE_URLS).index(photo.license) + 1,
        'photo': photo.name,
    }


def _annotation(number: int, image_id: int, item: SceneObject) -> dict[str, Any]:
    return {
        'id': number,
        'image_id': image_id,
        'category_id': item.label + 1,
        'segmentation': mask_to_polygons(item.mask),
        'area': item.area,
        'bbox': list(item.bbox),
        'iscrowd': 0,
        'digit': item.digit,
    }


def mask_to_polygons(mask: NDArray[np.bool_]) -> list[list[float]]:
    """Polygons around the set pixels, in COCO's coordinates (pixel (0, 0) covers 0 to 1 each way).

    COCO's polygons have no holes, so a mask is cut into upright strips through the middle of each
    of its holes: a zero becomes a left and a right half. Parts too small to hold an area are left out.

    Args:
        mask: (H, W).

    Returns:
        One flat list x1, y1, x2, y2 … a part, of three points or more; empty for an empty mask.

    Example:
        >>> disc = np.hypot(*np.ogrid[-5:6, -5:6]) < 5
        >>> ring = disc & (np.hypot(*np.ogrid[-5:6, -5:6]) > 2)
        >>> len(mask_to_polygons(disc)), len(mask_to_polygons(ring))
        (1, 2)
    """
    polygons = []
    cuts = [0, *_hole_columns(mask), mask.shape[1]]
    for left, right in pairwise(cuts):
        strip = np.pad(mask[:, left:right], 1).astype(np.float32)
        outlines = find_contours(strip, 0.5, fully_connected='high')  # type: ignore[no-untyped-call]
        for outline_yx in outlines:
            # Half a pixel back: 1 of padding, less 0.5 from a pixel's corner to its centre.
            # The last point of an outline is its first.
            outline_xy = (outline_yx[:-1, ::-1] + (left - 0.5, -0.5)).astype(np.float32)
            points = cv2.approxPolyDP(outline_xy, MAX_DEVIATION, closed=True)
            if len(points) >= 3:
                polygons.append(points.ravel().tolist())
    return polygons


def _hole_columns(mask: NDArray[np.bool_]) -> list[int]:
    """The middle column of each hole, rising, each once."""
    # A frame of background around the mask, so that everything outside it is one region.
    background = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    _, regions, stats, _ = cv2.connectedComponentsWithStats(background, connectivity=4)
    holes = np.delete(stats, [0, regions[0, 0]], axis=0)  # region 0 is the mask itself
    middles = holes[:, cv2.CC_STAT_LEFT] + holes[:, cv2.CC_STAT_WIDTH] // 2 - 1
    return sorted(set(middles.tolist()))
