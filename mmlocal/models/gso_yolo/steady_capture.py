"""What was seen on average, beside what is seen now."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmlocal.auxiliaries import MomentumCopy
from mmlocal.errors import ConfigError, nearest
from mmlocal.models.gso_yolo.checks import check_channels, reduced
from mmlocal.registry import MODELS

__all__ = ['SteadyCaptureModule']


@MODELS.register_module()
class SteadyCaptureModule(nn.Module):
    """GSO-YOLO's Steady Capture Module: an exponential moving average steadies the feature.

    The paper (arXiv 2407.00906) has it behind SPPF; of its equations no text was at hand but that it
    averages exponentially. Both forms are an **interpretation**. With g = GAP(x), (N, C):

        statistics:  m ← β m + (1 - β) mean over images(g)     y = x · σ(W2 ReLU(W1 [g, m]))
        weights:     y = x + f(x) + f'(x)     f = SiLU(BN(conv1x1)), f' its copy by moving average

    `statistics` (the default) keeps m in a buffer, which is in the checkpoint and stands still in
    evaluation; before the first training step it is zero. Each process has the mean of its own images,
    as plain batch norm has. `weights` moves f' once an optimizer step, which needs `mmlocal.MomentumHook`
    in `custom_hooks`.

    Args:
        in_channels: C.
        mode: `statistics` or `weights`.
        momentum: β, within 0 and 1.
        reduction: of the statistics' gate: W1 is 2C → C/reduction.

    Raises:
        ConfigError: if an argument does not fit; in the forward, if the feature has other channels, or
            a copy trains that no hook has started.

    Example:
        >>> module = SteadyCaptureModule(8, momentum=0.9)
        >>> _ = module(torch.ones(2, 8, 5, 7))
        >>> module.capture.mean[:2]
        tensor([0.1000, 0.1000])
    """

    def __init__(self, in_channels: int, mode: str = 'statistics', momentum: float = 0.99, reduction: int = 4) -> None:
        super().__init__()
        captures: dict[str, Callable[[], nn.Module]] = dict(
            statistics=lambda: _Statistics(in_channels, momentum, reduction),
            weights=lambda: _Weights(in_channels, momentum),
        )
        if mode not in captures:
            raise ConfigError(f'mode = {mode!r} is not one of {", ".join(captures)}.{nearest(mode, list(captures))}')
        self.in_channels = in_channels
        self.capture = captures[mode]()

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """The feature, steadied; of the same shape."""
        check_channels(self, self.in_channels, feat_NCHW)
        steady: Tensor = self.capture(feat_NCHW)
        return steady


class _Statistics(nn.Module):
    """A gate for each channel that knows its mean in this image and over the training."""

    mean: Tensor

    def __init__(self, channels: int, momentum: float, reduction: int) -> None:
        if not 0 <= momentum <= 1:
            raise ConfigError(f'momentum = {momentum} is not within 0 and 1')
        super().__init__()
        hidden = reduced(channels, reduction)
        self.momentum = momentum
        self.keeps_statistics = False  # of the second forward where units are recomputed
        self.gate = nn.Sequential(nn.Linear(2 * channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())
        self.register_buffer('mean', torch.zeros(channels))

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        pooled_NC = feat_NCHW.mean((2, 3))
        if self.training and not self.keeps_statistics:
            # In place, so that a copy of the model and a checkpoint have the same buffer.
            self.mean.lerp_(pooled_NC.detach().mean(0).to(self.mean.dtype), 1 - self.momentum)
        known_NC = self.mean.to(pooled_NC.dtype).expand_as(pooled_NC)
        weight_NC: Tensor = self.gate(torch.cat([pooled_NC, known_NC], 1))
        return feat_NCHW * weight_NC[..., None, None]


class _Weights(nn.Module):
    """A convolution and its copy by moving average, both added."""

    def __init__(self, channels: int, momentum: float) -> None:
        super().__init__()
        norm = dict(type='BN', momentum=0.03, eps=0.001)  # YOLOv8's own
        self.conv = ConvModule(channels, channels, 1, norm_cfg=norm, act_cfg=dict(type='SiLU'))
        self.copy = MomentumCopy(self.conv, momentum)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        if self.training and not self.copy.started:
            raise ConfigError(
                "SteadyCaptureModule with mode = 'weights' has a copy that nothing moves: "
                "custom_hooks needs dict(type='mmlocal.MomentumHook')"
            )
        return feat_NCHW + self.conv(feat_NCHW) + self.copy(feat_NCHW)
