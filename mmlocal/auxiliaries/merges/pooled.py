"""The feature bank for classification: pooled outputs of the blocks before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmlocal.auxiliaries.reader import Reader
from mmlocal.blocks import Place, Shape
from mmlocal.registry import MODELS

__all__ = ['PooledBank']


@MODELS.register_module()
class PooledBank(BaseModule):
    """The bridge's output, pooled, beside a linear reading of each earlier block's pooled output.

    Interpretation of FBA (arXiv 2406.00446), which names pooled activations as its bank for classification and no
    formula.

    Args:
        place: the boundary; given by `LocalBackbone`.
        shapes: of the bridge's outputs, the block's own first; given by the auxiliary.
        channels: of the reading of a block.
        momentum: of a running mean over the iterations, which is taken off each block's pooled output: the
            cross-iteration option. None is off.
    """

    def __init__(
        self, place: Place, shapes: Sequence[Shape], channels: int = 64, momentum: float | None = None
    ) -> None:
        super().__init__()
        ends = {unit.block: unit for unit in place.earlier if unit.block < place.index}
        earlier = list(ends.values())
        self.reads = tuple(unit.name for unit in earlier)
        self.reader = Reader(shapes[-1])
        # Tokens without a map size would need their token and norm; their mean is a reading, too.
        self.channel_dims = [1 if unit.shape.layout == 'map' else -1 for unit in earlier]
        self.projections = ModuleList(nn.Linear(unit.shape.channels, channels) for unit in earlier)
        self.momentum = momentum
        for i, unit in enumerate(earlier if momentum is not None else []):
            self.register_buffer(f'mean{i}', torch.zeros(unit.shape.channels))
        self.shape = Shape(shapes[-1].channels + channels * len(earlier), 1.0)
        self.description = f'bank of {len(earlier)} pooled blocks'

    def forward(self, outputs: Sequence[tuple[Tensor, tuple[Any, ...]]], bank: Mapping[str, Tensor]) -> Tensor:
        """From the bridge's outputs and the bank to a map of one pixel."""
        feature, further = outputs[-1]
        parts = [self.reader(feature, further).mean((2, 3))]
        for i, (name, projection) in enumerate(zip(self.reads, self.projections, strict=True)):
            parts.append(projection(self._centred(i, self._pooled(bank[name], self.channel_dims[i]))))
        return torch.cat(parts, 1)[:, :, None, None]

    def _pooled(self, entry: Tensor, channel_dim: int) -> Tensor:
        return entry.mean((2, 3)) if channel_dim == 1 else entry.mean(1)

    def _centred(self, i: int, pooled: Tensor) -> Tensor:
        if self.momentum is None:
            return pooled
        mean: Tensor = getattr(self, f'mean{i}')
        if self.training:
            mean.lerp_(pooled.mean(0), 1 - self.momentum)
        return pooled - mean
