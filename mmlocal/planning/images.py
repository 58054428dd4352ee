"""The size of the images that a config trains on, and how many at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmlocal.errors import ConfigError
from mmlocal.hosts.generated_batches import what_fits

__all__ = ['image_batch']

# Where transforms of the hosts say what size they put out, the last in a pipeline first.
_HEIGHT_FIRST = ('crop_size', 'gt_patch_size', 'size')
_WIDTH_FIRST = ('scale', 'img_scale')


def image_batch(cfg: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[tuple[int, int, int], int]:
    """Shape (C, H, W) of what the data preprocessor puts out in training, and the images in a batch.

    Args:
        cfg: a whole config: the last transform of its training pipeline that crops or resizes counts.
        given: `shape` and `batch`, where a plan has them.

    Raises:
        ConfigError: if the pipeline does not tell.
    """
    loader = cfg.get('train_dataloader') or {}
    batch = loader.get('batch_size') if given.get('batch') is None else given['batch']
    shape = _shape(cfg, loader) if given.get('shape') is None else given['shape']
    if shape is None or batch is None:
        raise ConfigError(
            ' cannot be planned: no transform of train_dataloader tells the size of the images. '
            'Give it: shape=(3, 224, 224), batch=32'
        )
    if len(shape) != 3 or not all(isinstance(size, int) and size > 0 for size in (*shape, batch)):
        raise ConfigError(
            f'shape = {shape!r}, batch = {batch!r}: channels, height, width, and images, whole and positive'
        )
    return (int(shape[0]), int(shape[1]), int(shape[2])), int(batch)


def _shape(cfg: Mapping[str, Any], loader: Mapping[str, Any]) -> tuple[int, int, int] | None:
    dataset = loader.get('dataset') or {}
    pipeline: list[Any] = []
    while isinstance(dataset, Mapping):
        pipeline = [*dataset.get('pipeline', []), *pipeline]
        inner = dataset.get('dataset') or (dataset.get('datasets') or [None])[0]
        dataset = inner if isinstance(inner, Mapping) else None
    sizes = [size for size in map(_size, reversed(pipeline)) if size]
    if not sizes:
        return None
    if 'generator' in cfg['model']:
        # The patch of the target is known, and the network gets the small one.
        return 3, sizes[0][0] // what_fits(cfg['model']), sizes[0][1] // what_fits(cfg['model'])
    preprocessor = cfg['model'].get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    divisor = preprocessor.get('pad_size_divisor', 1)
    height, width = (-(-side // divisor) * divisor for side in sizes[0])
    return 3, height, width


def _size(transform: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width that one transform puts out."""
    for key in (*_HEIGHT_FIRST, *_WIDTH_FIRST):
        value = transform.get(key)
        if isinstance(value, int):
            return value, value
        if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(side, int) for side in value):
            return (value[0], value[1]) if key in _HEIGHT_FIRST else (value[1], value[0])
    return None
