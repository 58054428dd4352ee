"""Random images with annotations in the form of a host: for measuring a training step, not for training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmlocal.errors import ConfigError
from mmlocal.hosts.base import HOSTS, Size, host_of

__all__ = ['generated_batch', 'what_fits']


def generated_batch(
    scope: str, size: Size, count: int, fits: int, model: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A batch as the data loader of a host has it, before the data preprocessor.

    Args:
        scope: `mmdet`, `mmyolo`, `mmpretrain`, `mmseg` or `mmagic`.
        size: height and width of the images.
        count: images.
        fits: number of classes; for restoration the scale.
        model: its config, if there is one: what it has no use for is left out (masks), what it needs is put in.

    Raises:
        ConfigError: if there is none for this host.

    Example:
        >>> batch = generated_batch('mmpretrain', (8, 12), count=3, fits=10)
        >>> batch['inputs'].shape, len(batch['data_samples'])
        (torch.Size([3, 3, 8, 12]), 3)
    """
    if scope not in HOSTS:
        raise ConfigError(f'default_scope = {scope!r}: no images can be generated but for {", ".join(HOSTS)}')
    batch = HOSTS[scope].generated_batch(size, count, fits)
    return batch if model is None else HOSTS[scope].fit_batch(batch, model)


def what_fits(model: Mapping[str, Any]) -> int:
    """What a generated batch has to fit: the scale of a restoration model, the classes of any other.

    Raises:
        ConfigError: if the model's config says neither.
    """
    host = host_of(dict(model=model))
    fits = host.fits(model) if host else None
    if fits is not None:
        return fits
    raise ConfigError('model: no head has num_classes, and there is no generator: no images can be generated for it')
