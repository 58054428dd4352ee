"""Small datasets in the real on-disk formats, made from images that installed packages ship.

`photos` finds the photographs, `digits` paints handwriting, `scenes` composes digits onto them (image, labels and
masks of the visible pixels, tied to no format), and one module a layout writes scenes to disk:
`coco` is the first. Nothing is downloaded, and the same seed gives the same bytes.
"""

from .coco import export_coco, mask_to_polygons
from .digits import CLASSES, split_digits
from .photos import SPLITS, Photo, Split, read_photo, shipped_photos
from .scenes import Scene, SceneObject, SceneSpec, make_scene, make_scenes

__all__ = [
    'CLASSES',
    'SPLITS',
    'Photo',
    'Scene',
    'SceneObject',
    'SceneSpec',
    'Split',
    'export_coco',
    'make_scene',
    'make_scenes',
    'mask_to_polygons',
    'read_photo',
    'shipped_photos',
    'split_digits',
]
