"""A frozen copy of a module that follows it slowly."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn

from mmlocal.errors import ConfigError

__all__ = ['MomentumCopy']


class MomentumCopy(nn.Module):
    """A copy of `source` whose parameters move by `p = m * p + (1 - m) * p_source`.

    Parameters only; batch-norm statistics are the copy's own, of its own forwards. (mmengine's
    `ExponentialMovingAverage` would take over the source's at every move, and knows neither m = 0 nor
    m = 1.) The copy is frozen but its forward is differentiable, so a gradient passes through it to
    its input. `start` makes it equal to the source before training, when the source's weights are
    there; `steps` (a buffer, in the checkpoint) counts start and moves.

    Source: MAN (arXiv 2407.05623), section 3; equality at the start is MLAAN's (arXiv 2406.16633,
    released code), and for MAN an interpretation (its code starts the copy from random weights of its own).

    Args:
        source: the module to copy. It is read, never registered.
        momentum: m, within 0 and 1.

    Raises:
        ConfigError: if m is not within 0 and 1.
    """

    steps: torch.Tensor

    def __init__(self, source: nn.Module, momentum: float) -> None:
        if not 0 <= momentum <= 1:
            raise ConfigError(f'momentum = {momentum} is not within 0 and 1 (0.995 is published)')
        super().__init__()
        self.momentum = momentum
        self.module = deepcopy(source).requires_grad_(False)
        self.register_buffer('steps', torch.tensor(0))
        # Beside the buffer, which has no numbers where memory is estimated.
        self._begun = False
        # In a tuple, so that the source is not registered as a part of its copy.
        self._source = (source,)

    @property
    def source(self) -> nn.Module:
        """The module that is followed."""
        return self._source[0]

    @property
    def started(self) -> bool:
        """Whether the copy has been made equal to its source (or was loaded after that)."""
        return self._begun or bool(self.steps > 0)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the source would do with the copy's weights."""
        return self.module(*args, **kwargs)

    def start(self) -> None:
        """Make the copy equal to its source, unless it has been or was loaded."""
        if not self.started:
            self.module.load_state_dict(self.source.state_dict())
            self.steps += 1
            self._begun = True

    @torch.no_grad()
    def move(self) -> None:
        """Move once, by the formula above."""
        for mine, other in zip(self.module.parameters(), self.source.parameters(), strict=True):
            mine.mul_(self.momentum).add_((1 - self.momentum) * other)
        self.steps += 1
