"""The weights of a unit, made of the weights of the units before and behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from mmlocal.models.replacement.fusion import Fusion

__all__ = ['FORMS', 'Scalars', 'Transformation', 'misfit']

Tensors: TypeAlias = Mapping[str, Tensor]

FORMS = ('scalars', 'transformation')
_START = 0.5
# The tensors in which query, key and value stand one after the other.
_FUSED_QKV = ('qkv', 'in_proj')


def _parts(name: str) -> int:
    return 3 if any(part in name for part in _FUSED_QKV) else 1


class Scalars(nn.Module):
    """`theta = a * theta_before + b * theta_after`, with one a and one b for all tensors of a unit.

    Source: arXiv 2410.01239: the parameters of a layer are replaced by two learnable ones that mix those of its
    neighbours. Both starting at 1/2 is an interpretation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.tensor([_START, _START]))

    def forward(self, before: Tensors, after: Tensors) -> dict[str, Tensor]:
        """The unit's tensors, by name; all three have the same names and shapes."""
        a, b = self.mix
        return {name: a * before[name] + b * after[name] for name in before}


class Transformation(nn.Module):
    """As `Scalars`, with an a and a b for each tensor, and fusion where a neighbour has another shape.

    Query, key and value have scalars of their own where a network keeps them in one tensor.

    Source: arXiv 2605.19533: a learnable transformation with fusion blocks for convolution channels, resolutions and
    parts of transformers; what these compute is not public, and an interpretation here.

    Args:
        unit: the unit's own tensors; only their shapes are read.
        before: those of the unit before it.
        after: those of the unit behind it.
        rank: of the learned mixing of channels.
    """

    def __init__(self, unit: Tensors, before: Tensors, after: Tensors, rank: int) -> None:
        super().__init__()
        self.tensors = nn.ModuleDict(
            {
                _key(name): _TensorMix(own.shape, before[name].shape, after[name].shape, _parts(name), rank)
                for name, own in unit.items()
            }
        )

    def forward(self, before: Tensors, after: Tensors) -> dict[str, Tensor]:
        """The unit's tensors, by name."""
        return {name: self.tensors[_key(name)](before[name], after[name]) for name in before}


class _TensorMix(nn.Module):
    """One tensor of a unit from the two of its neighbours."""

    def __init__(
        self, shape: Sequence[int], before: Sequence[int], after: Sequence[int], parts: int, rank: int
    ) -> None:
        super().__init__()
        self.shape = shape
        self.parts = parts
        self.mix = nn.Parameter(torch.full((2, parts), _START))
        own, *others = (self._divided(given) for given in (shape, before, after))
        self.before, self.after = (Fusion(given, own, rank) for given in others)

    def _divided(self, shape: Sequence[int]) -> list[int]:
        return [self.parts, shape[0] // self.parts, *shape[1:]]

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        a, b = self.mix.view(2, self.parts, *[1] * len(self.shape))
        fused = (
            fusion(given.reshape(self._divided(given.shape)))
            for fusion, given in ((self.before, before), (self.after, after))
        )
        return (a * next(fused) + b * next(fused)).reshape(self.shape)


def _key(name: str) -> str:
    """A tensor's name as that of a module, which may have no dots."""
    return name.replace('.', '-')


def misfit(unit: Tensors, neighbour: Tensors, form: str) -> str | None:
    """Why a unit's tensors cannot be synthesised from a neighbour's, in a few words; none if they can."""
    for name, own in unit.items():
        if name not in neighbour:
            return f'it has no {name}'
        given, wanted = tuple(neighbour[name].shape), tuple(own.shape)
        if given == wanted:
            continue
        said = f'{name} is {given} there and {wanted} here'
        if len(given) != len(wanted) or not wanted or given[0] % _parts(name):
            return f'{said}, which no fusion brings together'
        if form == 'scalars':
            return f"{said}; form='transformation' has a fusion for that"
    return None
