"""The feature bank for pixels: an early feature, of high resolution, joined with what the bridge puts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmlocal.auxiliaries.reader import Reader
from mmlocal.blocks import Place, Shape
from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS

__all__ = ['ShallowBank']


@MODELS.register_module()
class ShallowBank(BaseModule):
    """The bridge's output, resized to the shallow feature and added to a 1x1 convolution of it.

    For restoration the shallow feature is the first unit's output (of FBA's early prototype for EDSR: the
    global skip, detached); for segmentation the end of the first stage. Interpretation of FBA (arXiv 2406.00446).

    Args:
        place: the boundary; given by `LocalBackbone`.
        shapes: of the bridge's outputs; given by the auxiliary.
        unit: name of the unit that is read. If not given, the last one of the first block of `stride` or less.
        stride: of the shallow feature, at most.
        first: read the first unit of that stride instead.
        resize: whether the bridge's output is resized to the shallow feature.

    Raises:
        ConfigError: if the unit is not before the boundary, or there is no map.
    """

    def __init__(
        self,
        place: Place,
        shapes: Sequence[Shape],
        unit: str | None = None,
        stride: float = 4,
        first: bool = False,
        resize: bool = True,
    ) -> None:
        super().__init__()
        maps = [one for one in place.earlier if one.shape.layout == 'map']
        fine = [one for one in maps if one.shape.stride <= stride]
        found = [one for one in maps if one.name == unit] if unit else fine
        read = (found[0] if first else found[-1]) if found else None
        if read is None or not shapes[-1].is_map:
            raise ConfigError(
                f'unit = {unit!r}: the bank of this task reads an early map; no map of stride {stride:g} or less is '
                f'before {place.cut!r}, or what the bridge puts out is none'
            )
        self.reads = (read.name,)
        self.reader = Reader(shapes[-1])
        self.resize = resize
        self.projection = nn.Conv2d(read.shape.channels, shapes[-1].channels, 1)
        self.shape = Shape(shapes[-1].channels, read.shape.stride if resize else shapes[-1].stride)
        self.description = f'bank of {read.name}'

    def forward(self, outputs: Sequence[tuple[Tensor, tuple[Any, ...]]], bank: Mapping[str, Tensor]) -> Tensor:
        """From the bridge's outputs and the bank to one map."""
        feature, further = outputs[-1]
        mapped = self.reader(feature, further)
        shallow = self.projection(bank[self.reads[0]])
        if self.resize:
            mapped = functional.interpolate(mapped, shallow.shape[-2:], mode='bilinear')
        else:
            shallow = functional.adaptive_avg_pool2d(shallow, mapped.shape[-2:])
        return mapped + shallow
