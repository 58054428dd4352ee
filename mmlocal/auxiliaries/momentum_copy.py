"""A frozen copy of a module that follows it slowly."""

from __future__ import annotations

from mmengine.model import BaseAveragedModel
from torch import Tensor, nn

from mmlocal.errors import ConfigError

__all__ = ['MomentumCopy']


class MomentumCopy(BaseAveragedModel):
    """A copy of `source` whose parameters move by `p = m * p + (1 - m) * p_source`.

    Parameters only; batch-norm statistics are taken over from the source at every move. The copy is
    frozen but its forward is differentiable, so a gradient passes through it to its input. It
    becomes equal to the source at the first `move`, before training, when the source's weights are
    there; `steps` (a buffer, in the checkpoint) counts the moves since.

    Source: MAN (arXiv 2407.05623), section 3; equality at the start is an interpretation (the released
    code starts the copy from random weights of its own).

    Args:
        source: the module to copy. It is read, never registered.
        momentum: m, within 0 and 1.

    Raises:
        ConfigError: if m is not within 0 and 1.
    """

    def __init__(self, source: nn.Module, momentum: float) -> None:
        if not 0 <= momentum <= 1:
            raise ConfigError(f'momentum = {momentum} is not within 0 and 1 (0.995 is published)')
        super().__init__(source)
        self.momentum = momentum
        # In a tuple, so that the source is not registered as a part of its copy.
        self._source = (source,)

    @property
    def source(self) -> nn.Module:
        """The module that is followed."""
        return self._source[0]

    @property
    def started(self) -> bool:
        """Whether the copy has been made equal to its source (or was loaded after that)."""
        return bool(self.steps > 0)

    def start(self) -> None:
        """Make the copy equal to its source, unless it has been or was loaded."""
        if not self.started:
            self.move()

    def move(self) -> None:
        """Move once; the first call makes the copy equal to its source."""
        self.update_parameters(self.source)

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        """The formula above, in place; called by `update_parameters` for every parameter."""
        averaged_param.mul_(self.momentum).add_((1 - self.momentum) * source_param)
