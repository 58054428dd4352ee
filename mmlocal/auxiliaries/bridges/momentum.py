"""MAN and MAN++: the next unit, once as a momentum copy and once as a trainable one."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmlocal.auxiliaries.momentum_copy import MomentumCopy
from mmlocal.blocks import Place, separate
from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS

__all__ = ['MomentumBridge']


@MODELS.register_module()
class MomentumBridge(BaseModule):
    """`y = s * bias(x) + (2 - s) * ema(x)`, both of them copies of the first unit of the next block.

    `ema` is a momentum copy; `bias`, the "learnable bias", is a full trainable unit. MAN has s = 1;
    MAN++ makes s a learnable scalar that starts at 1.

    Sources: MAN (arXiv 2407.05623) and MAN++ (arXiv 2507.16279), both by their released code.
    That `bias` starts from the unit's weights is an interpretation (the code draws new ones).

    Args:
        place: the boundary; given by `LocalBackbone`.
        momentum: m of the momentum copy, within 0 and 1.
        scaling: learn s (MAN++) instead of leaving it at 1 (MAN).

    Raises:
        ConfigError: if m is not within 0 and 1, or that unit does not run by itself.
    """

    def __init__(self, place: Place, momentum: float = 0.995, scaling: bool = False) -> None:
        super().__init__()
        following = place.later[0]
        if not following.alone:
            raise ConfigError(
                f'{following.name!r} cannot be copied behind {place.cut!r}: by itself, on that output, it does not '
                'do what it does in the network. Cut elsewhere'
            )
        self.shape = following.shape
        self.description = f'{"scaled " if scaling else ""}momentum of {following.name}'
        self.ema = MomentumCopy(following.module, momentum)
        self.bias: nn.Module = deepcopy(following.module)
        self.scale = nn.Parameter(torch.ones(())) if scaling else None

    def forward(self, feature: Tensor, *further: Any) -> Any:
        """From the block's output to what the next unit makes of it: with `further` as a tuple, as it has."""
        learnt, behind = separate(self.bias(feature, *further), further)
        followed, _ = separate(self.ema(feature, *further))
        scale = self.scale
        total = learnt + followed if scale is None else scale * learnt + (2 - scale) * followed
        return (total, *behind) if behind else total

    def start(self) -> None:
        """Make both copies equal to their source, unless a loaded state has started them already."""
        if not self.ema.started:
            self.bias.load_state_dict(self.ema.source.state_dict())
            self.ema.start()

    def train(self, mode: bool = True) -> MomentumBridge:
        """Both copies normalise as their source does, whose host may keep its batch-norm in evaluation."""
        super().train(mode)
        for copy in (self.bias, self.ema.module):
            for mine, other in zip(copy.modules(), self.ema.source.modules(), strict=True):
                mine.training = other.training
        return self
