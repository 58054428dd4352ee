"""Whether a local head trains: it is built and tried on a small map, since only its code tells what its losses read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from torch import nn

from mmlocal.hosts.base import Size
from mmlocal.hosts.importing import import_hosts
from mmlocal.losses import total_of
from mmlocal.quiet import silent
from mmlocal.randomness import undisturbed
from mmlocal.registry import MODELS

__all__ = ['STRIDE', 'in_host', 'trains', 'unreached']

STRIDE = 16
_CHANNELS, _SIDE, _IMAGES = 32, 128, 2
_known: dict[str, bool] = {}


def trains(
    head: Mapping[str, Any],
    cfg: Mapping[str, Any],
    batch: Callable[[Size, int], Mapping[str, Any]],
    suits: Callable[[Any], bool] = lambda built: True,
) -> bool:
    """Whether the losses of a local head can be computed from its host's annotations, and reach all of its weights.

    Args:
        head: its config.
        cfg: the host's config.
        batch: makes images of a size (height, width), so many, as the host's data loader has them.
        suits: what else a head that was built has to fulfil.
    """
    key = f'{cfg.get("default_scope")}: {head}'
    if key not in _known:
        _known[key] = _tried(head, cfg, batch, suits)
    return _known[key]


@undisturbed()
def _tried(head: Mapping[str, Any], cfg: Mapping[str, Any], batch: Callable[..., Any], suits: Any) -> bool:
    try:
        with in_host(cfg):
            torch.manual_seed(0)
            config = ConfigDict(copy.deepcopy(dict(head)))
            built: Any = MODELS.build(config, default_args=dict(in_channels=_CHANNELS, stride=float(STRIDE)))
            built = revert_sync_batchnorm(built).train()
            samples = _annotations(batch((_SIDE, _SIDE), _IMAGES)['data_samples'])
            feature = torch.randn(_IMAGES, _CHANNELS, _SIDE // STRIDE, _SIDE // STRIDE)
            losses = built.loss(feature, None, samples)
            return suits(built) and not unreached(losses, built)
    except Exception:  # a host's head may raise anything on what it is not made for
        return False


@contextmanager
def in_host(cfg: Mapping[str, Any]) -> Iterator[None]:
    """Where parts of a host are built, run and thrown away: on the CPU, silently, with what a runner tells them."""
    import_hosts(cfg)
    hub = MessageHub.get_current_instance()
    told = {name: 0 for name in ('epoch', 'iter') if name not in hub.runtime_info}
    hub.update_info_dict(told)
    try:
        with silent(), DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')), torch.device('cpu'):
            yield
    finally:
        for name in told:
            hub.pop_info(name)


def unreached(losses: Mapping[str, Any], module: nn.Module) -> list[str]:
    """Names of the parameters that train and that no loss reaches."""
    named = {name: one for name, one in module.named_parameters() if one.requires_grad}
    total = total_of(losses)
    if not named or total is None:
        return list(named)
    found = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return [name for name, gradient in zip(named, found, strict=True) if gradient is None]


def _annotations(samples: Any) -> Any:
    """As the data preprocessor hands them on: with the size that the batch was padded to."""
    for sample in samples if isinstance(samples, list) else ():
        if hasattr(sample, 'set_metainfo'):
            sample.set_metainfo(dict(batch_input_shape=(_SIDE, _SIDE), pad_shape=(_SIDE, _SIDE)))
    return samples
