"""Mixed precision: one scaler for the losses of all blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import get_total_norm

from mmlocal.engine.optimizers.optim_wrapper import BlockwiseOptimWrapper
from mmlocal.errors import ConfigError
from mmlocal.hosts import cast_mmcv_operations
from mmlocal.registry import OPTIM_WRAPPERS

__all__ = ['BlockwiseAmpOptimWrapper']

_DTYPES = {'float16': torch.float16, 'bfloat16': torch.bfloat16}


@OPTIM_WRAPPERS.register_module()
class BlockwiseAmpOptimWrapper(BlockwiseOptimWrapper):
    """`BlockwiseOptimWrapper` with mixed precision, on any device; its state is that of mmengine's `AmpOptimWrapper`.

    Every loss is scaled by one scaler. Gradients are unscaled once, and the scale moves once an iteration. Where
    gradients are not finite, `joint` skips the iteration's step and `per_block` the block's; the blocks are named in
    the log. `auto` is `joint` for float16, so that an overflow skips the same as without blocks.

    Args:
        loss_scale: `dynamic`, a fixed scale, or arguments of `torch.amp.GradScaler`.
        dtype: `float16` or `bfloat16`; the device's own if not given: float16 on a GPU, bfloat16 on the CPU.
            Losses of bfloat16 are not scaled.
        loss_scaler: a scaler to use instead, for tests.
        **kwargs: as for `BlockwiseOptimWrapper`.

    Raises:
        ConfigError: if the dtype or the scale is something else.
    """

    def __init__(
        self,
        loss_scale: str | float | Mapping[str, Any] = 'dynamic',
        dtype: str | torch.dtype | None = None,
        loss_scaler: GradScaler | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._device = get_device()
        if self._device == 'cpu':
            cast_mmcv_operations()
        name = str(dtype or torch.get_autocast_dtype(self._device)).removeprefix('torch.')
        if name not in _DTYPES:
            raise ConfigError(f'dtype = {dtype!r} is not one of {", ".join(_DTYPES)}')
        self.cast_dtype = _DTYPES[name]
        self._fixed = float(loss_scale) if isinstance(loss_scale, (int, float)) else None
        self.loss_scaler = loss_scaler or self._make_scaler(loss_scale)
        self._separable = self._separable and not self.loss_scaler.is_enabled()
        # What was stepped in this iteration; the scaler knows each by its identity.
        self._parts: list[Any] = []

    def _make_scaler(self, scale: Any) -> GradScaler:
        given: dict[str, Any] = (
            dict(scale) if isinstance(scale, Mapping) else dict(init_scale=self._fixed) if self._fixed else {}
        )
        if scale != 'dynamic' and not given:
            raise ConfigError(f"loss_scale = {scale!r} is neither 'dynamic' nor a number above 0 nor a dict")
        given.setdefault('enabled', self.cast_dtype is torch.float16)
        return GradScaler(self._device, **given)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Open the local step, and autocast."""
        with super().optim_context(model), torch.autocast(self._device, dtype=self.cast_dtype):
            yield

    def _amplified(self, loss: Tensor) -> Tensor:
        return self.loss_scaler.scale(loss)

    def step(self, **kwargs: Any) -> None:
        """Step what has gradients, and move the scale: the end of an iteration."""
        self._step_block(**kwargs)
        if self._parts:
            self.loss_scaler.update(self._fixed)
            self._parts = []

    def _step_block(self, **kwargs: Any) -> None:
        """Step what has gradients, unless they are not finite."""
        gradients = [p.grad for group in self.param_groups for p in group['params'] if p.grad is not None]
        if not gradients:
            return
        part: Any = SimpleNamespace(param_groups=self.param_groups, step=self.optimizer.step)
        self._parts.append(part)
        self.loss_scaler.unscale_(part)
        if self.loss_scaler.is_enabled() and not get_total_norm(gradients).isfinite():
            self._tell_overflow()
        if self.clip_grad_kwargs:
            self._clip_grad()
        self.loss_scaler.step(part, **kwargs)

    def _tell_overflow(self) -> None:
        blocks = self._finite.blocks_of_broken_gradients() if self._finite is not None else []
        if blocks:
            scale = self.loss_scaler.get_scale()
            print_log(f'{", ".join(blocks)}: gradients are not finite at loss scale {scale:g}: not stepped', 'current')

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state, and the scaler's under `loss_scaler`."""
        return {**super().state_dict(), 'loss_scaler': self.loss_scaler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take both back; of a run without mixed precision the optimizer's alone."""
        state_dict = dict(state_dict)
        scaler = state_dict.pop('loss_scaler', None)
        if scaler:
            self.loss_scaler.load_state_dict(scaler)
        super().load_state_dict(state_dict)
