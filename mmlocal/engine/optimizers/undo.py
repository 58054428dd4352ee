"""Taking an iteration back that is to leave no trace."""

from __future__ import annotations

import torch
from torch import nn

from mmlocal.randomness import random_state, set_random_state

__all__ = ['Undo']


class Undo:
    """What a forward and a backward change beside gradients: buffers, and what has been drawn.

    Running means and variances, counters of momentum copies and the like are small beside weights and activations, so a
    copy of them is kept for the time of an iteration.

    Args:
        model: of the iteration, which has not begun.
    """

    def __init__(self, model: nn.Module) -> None:
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
        self._drawn = random_state()

    def __call__(self) -> None:
        """Put everything back."""
        with torch.no_grad():
            for buffer, before in self._buffers:
                buffer.copy_(before)
        set_random_state(self._drawn)
