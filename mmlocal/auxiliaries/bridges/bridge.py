"""What every bridge is to the auxiliary that holds it."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from mmlocal.blocks import Shape, separate

__all__ = ['Bridge', 'Outputs']

# Features, each with what goes along (Swin's map size).
Outputs = list[tuple[Tensor, tuple[Any, ...]]]


class Bridge(BaseModule):
    """Carries a block's output to the local head: a subclass sets `shape` and `description`, and has a `forward`.

    Attributes:
        shape: channels, stride and layout of what it puts out; the head and the terms are built for it.
        description: a few words for the plan. They are compared on resume, so they tell apart what must not be mixed.
    """

    shape: Shape
    description: str

    @property
    def shapes(self) -> list[Shape]:
        """Shapes of its `outputs`, in the same order; a merge with the feature bank is built for them."""
        return [self.shape]

    def outputs(self, feature: Tensor, *further: Any) -> Outputs:
        """All that a merge may read, the last one for the terms: what `forward` puts out, if a bridge has no more."""
        return [separate(self(feature, *further), further)]

    def forward(self, feature: Tensor, *further: Any) -> Any:
        """A feature of `shape`, or a tuple of it and what goes along, if that has changed.

        Args:
            feature: (N, C, H, W), or tokens (N, L, C): the block's output, a leaf.
            further: what the next unit gets beside the feature.
        """
        raise NotImplementedError(f'{type(self).__name__} has no forward')
