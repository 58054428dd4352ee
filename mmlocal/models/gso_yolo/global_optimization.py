"""Global attention over channels, then over places."""

from __future__ import annotations

from torch import Tensor, nn

from mmlocal.models.gso_yolo.checks import check_channels, reduced
from mmlocal.registry import MODELS

__all__ = ['GlobalOptimizationModule']


@MODELS.register_module()
class GlobalOptimizationModule(nn.Module):
    """GSO-YOLO's Global Optimization Module: weights for channels and places, without pooling.

    With x (N, C, H, W) laid out as N, HW rows of C numbers:

        c = x · σ(MLP(x))                C → C/r → ReLU → C in every place
        y = c · σ(BN(conv7(ReLU(BN(conv7(c))))))     C → C/r → C

    Source: the paper (arXiv 2407.00906) places it before SPPF; the block is that of GAM (arXiv
    2112.05561), whose r and sigmoid implementations differ in. It can be a plugin of mmcv's
    (`plugins=[dict(cfg=dict(type='mmlocal.GlobalOptimizationModule'), ...)]`).

    Args:
        in_channels: C.
        reduction: r; has to divide C.
        channel_sigmoid: σ of the channel attention; some implementations leave it out.

    Raises:
        ConfigError: if r does not divide C; in the forward, if the feature has other channels.

    Example:
        >>> import torch
        >>> GlobalOptimizationModule(8)(torch.rand(2, 8, 5, 7)).shape
        torch.Size([2, 8, 5, 7])
    """

    def __init__(self, in_channels: int, reduction: int = 4, channel_sigmoid: bool = True) -> None:
        super().__init__()
        hidden = reduced(in_channels, reduction)
        self.in_channels = in_channels
        self.channel = nn.Sequential(
            nn.Linear(in_channels, hidden), nn.ReLU(), nn.Linear(hidden, in_channels), *[nn.Sigmoid()] * channel_sigmoid
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(in_channels, hidden, 7, padding=3, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, in_channels, 7, padding=3, bias=False),
            nn.BatchNorm2d(in_channels),
            nn.Sigmoid(),
        )

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """The feature, weighted; of the same shape."""
        check_channels(self, self.in_channels, feat_NCHW)
        weight_NHWC: Tensor = self.channel(feat_NCHW.permute(0, 2, 3, 1))
        feat_NCHW = feat_NCHW * weight_NHWC.permute(0, 3, 1, 2)
        return feat_NCHW * self.spatial(feat_NCHW)
