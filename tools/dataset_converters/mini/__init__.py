"""Small datasets in the real on-disk formats, made from images that installed packages ship.

`photos` finds the photographs, `digits` paints handwriting, `scenes` composes digits onto them (image, labels and
masks of the visible pixels, tied to no format), and one module a layout writes to disk: `coco`, `voc`, `cityscapes`,
`folders` from scenes, `div2k` from the photographs. Nothing is downloaded, and the same seed gives the same bytes.
"""

from .cityscapes import SEGMENT_CLASSES, export_cityscapes, label_map
from .coco import export_coco, mask_to_polygons
from .digits import CLASSES, split_digits
from .div2k import export_div2k
from .folders import ONE_DIGIT, export_folders
from .photos import SPLITS, Photo, Split, read_photo, shipped_photos
from .scenes import Scene, SceneObject, SceneSpec, make_scene, make_scenes
from .voc import export_voc

__all__ = [
    'CLASSES',
    'ONE_DIGIT',
    'SEGMENT_CLASSES',
    'SPLITS',
    'Photo',
    'Scene',
    'SceneObject',
    'SceneSpec',
    'Split',
    'export_cityscapes',
    'export_coco',
    'export_div2k',
    'export_folders',
    'export_voc',
    'label_map',
    'make_scene',
    'make_scenes',
    'mask_to_polygons',
    'read_photo',
    'shipped_photos',
    'split_digits',
]
