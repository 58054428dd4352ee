"""No bridge: the head reads the block's own output."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mmlocal.blocks import Place
from mmlocal.registry import MODELS

__all__ = ['IdentityBridge']


@MODELS.register_module()
class IdentityBridge(nn.Module):
    """The block's output as it is (greedy learning, DGL, InfoPro).

    Args:
        place: the boundary; given by `LocalBackbone`.
    """

    description = 'no bridge'

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.shape = place.shape
        self.shapes = [place.shape]

    def outputs(self, feature: Tensor, *further: Any) -> list[tuple[Tensor, tuple[Any, ...]]]:
        """`feature` with what goes along, as the only entry."""
        return [(feature, further)]

    def forward(self, feature: Tensor, *_further: Any) -> Tensor:
        """Return `feature`."""
        return feature
