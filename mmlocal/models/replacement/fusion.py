"""Bringing a neighbour's tensor to another shape: channels by a learned mixing, kernels by their centre."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ['ChannelMix', 'Fusion']

_CHANNEL_AXES = 2  # out and in, of convolutions and linear layers alike


class ChannelMix(nn.Module):
    """Channels along one axis of a weight, mixed into another number of channels: `(E + P Q) w`.

    E crops the channels or pads them with zeros; P (wanted, rank) starts at zero and Q (rank, given) at random, so
    that a fusion starts as crop or padding. A full matrix would often have more parameters than the replaced
    weight itself: 2048 x 1024 of them against 2048 x 512 in the last stage of a ResNet-50.

    Source: the 2026 paper (arXiv 2605.19533) has parameter-fusion blocks for channels; their form is not public.
    This one is an interpretation.

    Args:
        given: channels of the neighbour's tensor.
        wanted: channels of the unit's own.
        rank: of the learned part.
    """

    def __init__(self, given: int, wanted: int, rank: int) -> None:
        super().__init__()
        self.pad = wanted - given
        self.up = nn.Parameter(torch.zeros(wanted, rank))
        self.down = nn.Parameter(torch.randn(rank, given) / given**0.5)

    def forward(self, weight: Tensor, axis: int) -> Tensor:
        """Mix along `axis`; all others stay."""
        moved = weight.movedim(axis, 0)
        rows = moved.flatten(1)
        mixed = F.pad(rows, (0, 0, 0, self.pad)) + self.up @ (self.down @ rows)
        return mixed.unflatten(1, moved.shape[1:]).movedim(0, axis)


class Fusion(nn.Module):
    """A neighbour's tensor in the shape of the unit's own; of one that has it already, the tensor itself.

    Out and in channels of a weight are mixed, each axis by a `ChannelMix` of its own. Kernels are cropped or padded
    around their centre. Vectors (biases, affine parameters of norms) are cropped or padded: to mix them
    would take more parameters than they have.

    Args:
        given: shape of the neighbour's tensor, `(parts, out, in, ...)`: parts are kept apart (q, k and v).
        wanted: shape of the unit's own, of as many axes.
        rank: of the mixings.
    """

    def __init__(self, given: Sequence[int], wanted: Sequence[int], rank: int) -> None:
        super().__init__()
        differ = [axis for axis, (g, w) in enumerate(zip(given, wanted, strict=True)) if g != w]
        mixed = [axis for axis in differ if len(given) > _CHANNEL_AXES and axis <= _CHANNEL_AXES]
        self.mixes = nn.ModuleDict({str(axis): ChannelMix(given[axis], wanted[axis], rank) for axis in mixed})
        self.padding = [0] * (2 * len(given))
        for axis in set(differ) - set(mixed):
            # From the last axis to the first, as torch's padding counts; a vector keeps its first entries.
            extra = wanted[axis] - given[axis]
            before = extra // 2 if axis > _CHANNEL_AXES else 0
            self.padding[-2 * axis - 2 : len(self.padding) - 2 * axis] = [before, extra - before]

    def forward(self, tensor: Tensor) -> Tensor:
        """From (parts, out, in, ...) of the neighbour to the unit's."""
        for axis, mix in self.mixes.items():
            tensor = mix(tensor, int(axis))
        return F.pad(tensor, self.padding) if any(self.padding) else tensor
