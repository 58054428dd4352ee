"""Supervised contrast of a block's pooled output."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmlocal.auxiliaries.heads.cls import read_out
from mmlocal.hosts.samples import labels_of
from mmlocal.registry import MODELS

__all__ = ['ContrastHead', 'supervised_contrast']


@MODELS.register_module()
class ContrastHead(BaseModule):
    """The layers of `ClsHead`, a linear layer to a vector of length one, and the supervised contrastive loss.

    Source: InfoPro's `contrast` mode (arXiv 2101.10832, released code), `1c2f` with temperature 0.07, one view an
    image.

    Args:
        in_channels: channels of the feature; filled in from the bridge.
        stride: not used.
        layers: as for `ClsHead`.
        widen: factor of the width.
        feature_dim: width of the hidden linear layers, before `widen`, and of the vector.
        temperature: the similarities are divided by it.
    """

    def __init__(
        self,
        in_channels: int,
        stride: float,
        layers: str = '1c2f',
        widen: int = 1,
        feature_dim: int = 128,
        temperature: float = 0.07,
    ) -> None:
        super().__init__()
        self.layers, width = read_out(in_channels, layers, widen, feature_dim)
        self.linear = nn.Linear(width, feature_dim)
        self.temperature = temperature
        self.description = f'{layers}, contrast'

    def forward(self, feature: Tensor) -> Tensor:
        """From (N, C, H, W) to vectors of length one (N, D)."""
        return functional.normalize(self.linear(self.layers(feature)), dim=1)

    def loss(self, feature: Tensor, inputs: Any, data_samples: Any) -> dict[str, Any]:
        """The contrastive loss; `inputs` are not used."""
        labels = labels_of(data_samples).to(feature.device)
        return dict(loss_contrast=supervised_contrast(self(feature), labels, self.temperature))


def supervised_contrast(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Mean over all images of `-mean_p log(exp(v·p / t) / sum_a exp(v·a / t))`, a any other image.

    Source: supervised contrastive learning (arXiv 2004.11362), equation 2 with one view; images whose label no
    other one has give nothing, and count (InfoPro's released code).

    Args:
        vectors: (N, D) of length one.
        labels: (N,).
        temperature: t.
    """
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = (vectors @ vectors.T / temperature).masked_fill(itself, -torch.inf)
    chances = logits - logits.logsumexp(1, keepdim=True)
    positive = (labels[:, None] == labels) & ~itself
    count = positive.sum(1)
    means = chances.masked_fill(~positive, 0).sum(1) / count.clamp(min=1)
    return -means.mean()
