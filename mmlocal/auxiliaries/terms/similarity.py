"""Similarity matching: images of a batch are to be as alike as their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmlocal.hosts.samples import labels_of
from mmlocal.registry import MODELS

__all__ = ['Similarity', 'similarity_matrix']


@MODELS.register_module()
class Similarity(BaseModule):
    """Mean squared difference of the similarity matrices of `conv3x3(feature)` and of the one-hot labels.

    Source: PredSim (Nøkland and Eidnes, ICML 2019), released code. There a linear classifier has weight
    1 - 0.99, and this term 0.99.

    Args:
        in_channels: channels of the feature; filled in from the bridge.
        stride: not used.
        num_classes: of the host's head; filled in by `localize`.
        loss_weight: a number, a pair or a mapping, as in `Auxiliary`.
    """

    def __init__(
        self,
        in_channels: int,
        stride: float,
        num_classes: int,
        loss_weight: float | Sequence[float] | Mapping[str, float] = 0.99,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.loss_weight = loss_weight
        self.conv = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)

    def forward(self, feature: Tensor) -> Tensor:
        """From (N, C, H, W) to the similarities (N, N)."""
        return similarity_matrix(self.conv(feature))

    def loss(self, feature: Tensor, inputs: Any, data_samples: Any) -> Tensor:
        """The term; `inputs` are not used."""
        labels = labels_of(data_samples).to(feature.device)
        alike = similarity_matrix(functional.one_hot(labels, self.num_classes).to(feature))
        return functional.mse_loss(self(feature), alike)


def similarity_matrix(feature: Tensor) -> Tensor:
    """Cosine similarity of the rows, each centred.

    Of a map that is higher and wider than a pixel the rows are the standard deviations of its channels; a smaller one,
    as tokens are read, has no spread, and is taken as it is.

    Args:
        feature: (N, C, H, W) or (N, C).
    """
    is_map = feature.dim() == 4 and min(feature.shape[2:]) > 1
    rows = feature.flatten(2).std(2) if is_map else feature.flatten(1)
    rows = functional.normalize(rows - rows.mean(1, keepdim=True), dim=1, eps=1e-8)
    return rows @ rows.T
