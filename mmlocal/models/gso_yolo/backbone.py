"""YOLOv8's backbone with GSO-YOLO's modules around its pyramid pooling."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from mmlocal.errors import ConfigError, nearest
from mmlocal.hosts import import_host
from mmlocal.models.gso_yolo.global_optimization import GlobalOptimizationModule
from mmlocal.models.gso_yolo.steady_capture import SteadyCaptureModule
from mmlocal.registry import MODELS

__all__ = ['gso_yolo_csp_darknet']

_DEFAULTS: Mapping[str, Any] = MappingProxyType({})


@MODELS.register_module(name='GSOYOLOCSPDarknet')
def gso_yolo_csp_darknet(
    gom: Mapping[str, Any] | None = _DEFAULTS,
    scm: Mapping[str, Any] | None = _DEFAULTS,
    **network: Any,
) -> nn.Module:
    """mmyolo's `YOLOv8CSPDarknet` whose last stage is conv, C2f, GOM, SPPF, SCM.

    The stage's output, which the neck reads, is then the Steady Capture Module's. The stock network's
    parts keep their names, so stock weights load: what is new is `stage4.gom` and `stage4.scm`. (mmyolo's own
    `plugins` only come behind SPPF.) It needs mmyolo, which is imported when this is called.

    Source: GSO-YOLO (arXiv 2407.00906): GOM before, SCM behind SPPF.

    Args:
        gom: arguments of `GlobalOptimizationModule`; None leaves it out.
        scm: arguments of `SteadyCaptureModule`; None leaves it out.
        **network: arguments of `YOLOv8CSPDarknet`.

    Raises:
        ConfigError: if mmyolo is not installed, or an argument of the modules does not fit.
    """
    import_host('mmyolo')
    stock: Any = MODELS.build(dict(type='mmyolo.YOLOv8CSPDarknet', **network))
    stage = stock.layers[-1]
    *before, (name, sppf) = getattr(stock, stage).named_children()
    layers = OrderedDict(before)
    if gom is not None:
        layers['gom'] = _built('gom', GlobalOptimizationModule, sppf.conv1.conv.in_channels, gom)
    layers[name] = sppf
    if scm is not None:
        layers['scm'] = _built('scm', SteadyCaptureModule, sppf.conv2.conv.out_channels, scm)
    setattr(stock, stage, nn.Sequential(layers))
    return stock


def _built(place: str, kind: type[nn.Module], channels: int, given: Mapping[str, Any]) -> nn.Module:
    """A module from its arguments; what is wrong with them is told with their place."""
    known = list(inspect.signature(kind).parameters)[1:]
    listed = f' Arguments: {", ".join(known)}'
    unknown = [
        f'{place}.{name} is not an argument of {kind.__name__}.{nearest(name, known) or listed}'
        for name in given
        if name not in known
    ]
    if unknown:
        raise ConfigError(*unknown)
    try:
        return kind(channels, **given)
    except ConfigError as error:
        raise ConfigError(*(f'{place}.{fault}' for fault in error.faults)) from error
