"""MAN, MAN++ and MLAAN: later units, the first or all of them a second time as a momentum copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmlocal.auxiliaries.bridges.copies import CopyBridge, chained, follow_mode
from mmlocal.auxiliaries.momentum_copy import MomentumCopy
from mmlocal.blocks import Place, run_twice, separate
from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS

__all__ = ['MomentumBridge']

_TWINS = ('first', 'all')


@MODELS.register_module()
class MomentumBridge(CopyBridge):
    """`y = s * bias(x) + (2 - s) * ema(x)`, both copies of the first chosen unit; then the others' copies.

    `ema` is a momentum copy; `bias`, the "learnable bias", is a full trainable unit. MAN has s = 1 and the next
    unit; MAN++ makes s a learnable scalar that starts at 1, and adds the unit behind for ViT
    (`units=dict(type='Next', depth=2)`). MLAAN leaps over units (`units=dict(type='Leap')`) with s = 1.

    Sources: MAN (arXiv 2407.05623), MAN++ (arXiv 2507.16279), MLAAN (arXiv 2406.16633), all by their released
    code. That copies start from the units' weights is MLAAN's; for MAN and MAN++ an interpretation (new ones there).

    Args:
        place: the boundary; given by `LocalBackbone`.
        momentum: m of the momentum copy, within 0 and 1.
        scaling: learn s (MAN++) instead of leaving it at 1.
        units: as for `CopyBridge`.
        recompute: do not keep what the momentum copy's backward needs, but run the copy again there: the same
            gradients, less memory, one more forward of a unit.
        twin: `first`, the first unit has a momentum copy; `all`, the whole chain has one, and their ends are
            added (MLAAN's variant without multilaminar modules).

    Raises:
        ConfigError: if m is not within 0 and 1, `twin` is unknown, or a unit does not run by itself.
    """

    def __init__(
        self,
        place: Place,
        momentum: float = 0.995,
        scaling: bool = False,
        units: Mapping[str, Any] | Sequence[str] = {'type': 'Next'},
        twin: str = 'first',
        recompute: bool = False,
    ) -> None:
        if twin not in _TWINS:
            raise ConfigError(f'twin = {twin!r} is not one of {", ".join(_TWINS)}')
        self._whole, self.recompute = twin == 'all', recompute
        super().__init__(place, units)
        if self._whole:
            if any(not isinstance(adapter, nn.Identity) for adapter in self.adapters):
                raise ConfigError("twin = 'all': the units do not run one after the other")
            self.adapters, self._shapes = self.adapters[:1], [self._shapes[0], self.shape]
        self.ema = MomentumCopy(self._sources[0], momentum)
        self.scale = nn.Parameter(torch.ones(())) if scaling else None
        first, *others = self.names
        behind = f', then {", ".join(others)}' if others and not self._whole else ''
        copied = ', '.join(self.names) if self._whole else first
        self.description = f'{"scaled " if scaling else ""}momentum of {copied}{behind}'

    def _grouped(self, modules: list[nn.Module]) -> list[nn.Module]:
        return [chained(modules)] if self._whole else modules

    @property
    def learnable(self) -> nn.Module:
        """The trainable copy beside the momentum copy."""
        first: nn.Module = self.copies[0]
        return first

    def _step(self, i: int, feature: Tensor, further: tuple[Any, ...]) -> tuple[Tensor, tuple[Any, ...]]:
        if i > 0:
            return super()._step(i, feature, further)
        # What runs first is propagated last: when the momentum copy runs again, the other one's graph is freed.
        followed, _ = separate(self._followed(feature, further))
        learnt, behind = super()._step(i, feature, further)
        scale = self.scale
        return (learnt + followed if scale is None else scale * learnt + (2 - scale) * followed), behind

    def _followed(self, feature: Tensor, further: tuple[Any, ...]) -> Any:
        if not self.recompute:
            return self.ema(feature, *further)
        return run_twice(self.ema, self.ema, feature, *further)

    def start(self) -> None:
        """Make all copies equal to their sources, unless a loaded state has started them already."""
        super().start()
        self.ema.start()

    def train(self, mode: bool = True) -> MomentumBridge:
        """All copies normalise as their sources do."""
        super().train(mode)
        follow_mode(self.ema.module, self.ema.source)
        return self
