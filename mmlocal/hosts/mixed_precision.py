"""Operations of mmcv that the CPU has in float32 alone."""

from __future__ import annotations

import functools
import sys
from typing import Any

import torch
from torch import Tensor
from torch.amp.autocast_mode import custom_fwd

__all__ = ['cast_mmcv_operations']


def cast_mmcv_operations() -> None:
    """Let those that are imported take what autocast made bfloat16, in float32, as torch does with its own."""
    nms = getattr(sys.modules.get('mmcv.ops.nms'), 'NMSop', None)
    if nms is not None and not hasattr(nms, 'casts'):
        nms.casts = True
        nms.forward = staticmethod(custom_fwd(nms.forward, device_type='cpu', cast_inputs=torch.float32))
    align = getattr(sys.modules.get('mmcv.ops.roi_align'), 'RoIAlign', None)
    if align is not None and not hasattr(align, 'casts'):
        align.casts = True
        align.forward = _in_float32(align.forward)


def _in_float32(forward: Any) -> Any:
    """A module's forward of features and boxes, that gives back the features' own type."""

    @functools.wraps(forward)
    def cast(module: Any, feature: Tensor, boxes: Tensor) -> Tensor:
        if feature.dtype is not torch.bfloat16 or feature.device.type != 'cpu':
            return forward(module, feature, boxes)
        found: Tensor = forward(module, feature.float(), boxes.float())
        return found.to(feature.dtype)

    return cast
