"""The feature bank for detection: a local feature pyramid of earlier levels and those that the bridge adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList
from torch import Tensor
from torch.nn import functional

from mmlocal.auxiliaries.reader import Reader
from mmlocal.blocks import Place, Shape
from mmlocal.registry import MODELS

__all__ = ['PyramidBank']


@MODELS.register_module()
class PyramidBank(BaseModule):
    """Levels of doubling strides: those already passed from the bank, those to come from the bridge; a local FPN.

    1x1 convolutions to one width, and the coarser level added to the next finer one, from the top down.
    Interpretation of FBA (arXiv 2406.00446), which names multi-scale maps and a local FPN, and no sizes.

    Args:
        place: the boundary; given by `LocalBackbone`.
        shapes: of the bridge's outputs, the block's own first; given by the auxiliary.
        out_channels: of the levels.
        min_stride: of the finest level: a dense head at stride 4 costs more than a whole ResNet-50.
    """

    def __init__(self, place: Place, shapes: Sequence[Shape], out_channels: int = 256, min_stride: int = 8) -> None:
        super().__init__()
        own = {shape.stride: i for i, shape in enumerate(shapes) if shape.is_map}
        own = {stride: i for stride, i in own.items() if stride >= min_stride} or {max(own): own[max(own)]}
        passed = {
            unit.shape.stride: unit
            for unit in place.earlier
            if unit.shape.layout == 'map' and min_stride <= unit.shape.stride < min(own)
        }
        levels: list[tuple[float, str | int, Shape]] = [(s, unit.name, unit.shape) for s, unit in passed.items()]
        levels += [(stride, i, shapes[i]) for stride, i in own.items()]
        levels.sort(key=lambda level: level[0])
        self.sources: list[str | int] = [source for _, source, _ in levels]
        self.reads = tuple(unit.name for unit in passed.values())
        self.readers = ModuleList(Reader(shape) for *_, shape in levels)
        self.laterals = ModuleList(ConvModule(shape.channels, out_channels, 1) for *_, shape in levels)
        self.strides = [round(stride) for stride, *_ in levels]
        self.shape = Shape(out_channels, levels[0][0])
        self.description = f'local pyramid at stride {", ".join(map(str, self.strides))}'

    def forward(
        self, outputs: Sequence[tuple[Tensor, tuple[Any, ...]]], bank: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        """From the bridge's outputs and the bank to the levels, finest first."""
        entries = [(bank[s], ()) if isinstance(s, str) else outputs[s] for s in self.sources]
        levels = [
            lateral(reader(*entry)) for lateral, reader, entry in zip(self.laterals, self.readers, entries, strict=True)
        ]
        for i in range(len(levels) - 1, 0, -1):
            levels[i - 1] = levels[i - 1] + functional.interpolate(levels[i], levels[i - 1].shape[-2:])
        return tuple(levels)
