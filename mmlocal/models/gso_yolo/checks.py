"""What both modules refuse."""

from __future__ import annotations

from torch import Tensor, nn

from mmlocal.errors import ConfigError

__all__ = ['check_channels', 'reduced']


def reduced(in_channels: int, reduction: int) -> int:
    """`in_channels / reduction`.

    Raises:
        ConfigError: if that is no whole number above 0.
    """
    if reduction < 1 or in_channels < 1 or in_channels % reduction:
        known = [r for r in (1, 2, 4, 8, 16, 32) if in_channels > 0 and in_channels % r == 0]
        raise ConfigError(
            f'reduction = {reduction} does not divide in_channels = {in_channels}; {", ".join(map(str, known))} do'
        )
    return in_channels // reduction


def check_channels(module: nn.Module, in_channels: int, feat_NCHW: Tensor) -> None:
    """Compare a feature with the channels that a module was built for.

    Raises:
        ConfigError: if it is no map (N, C, H, W), or has another number of channels.
    """
    if feat_NCHW.dim() != 4 or feat_NCHW.shape[1] != in_channels:
        raise ConfigError(
            f'{type(module).__name__} was built with in_channels = {in_channels}: it takes '
            f'(N, {in_channels}, H, W), not {tuple(feat_NCHW.shape)}'
        )
