"""No bridge: the head reads the block's own output."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmlocal.auxiliaries.bridges.bridge import Bridge
from mmlocal.blocks import Place
from mmlocal.registry import MODELS

__all__ = ['IdentityBridge']


@MODELS.register_module()
class IdentityBridge(Bridge):
    """The block's output as it is (greedy learning, DGL, InfoPro).

    Args:
        place: the boundary; given by `LocalBackbone`.
    """

    description = 'no bridge'

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.shape = place.shape

    def forward(self, feature: Tensor, *_further: Any) -> Tensor:
        """Return `feature`."""
        return feature
