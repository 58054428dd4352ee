"""Peak memory of a training step, in the logs of the run."""

from __future__ import annotations

from typing import Any

from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlocal.memory.meter import PeakMeter
from mmlocal.registry import HOOKS

__all__ = ['PeakMemoryHook']


@HOOKS.register_module()
class PeakMemoryHook(Hook):
    """Measures one training iteration and logs `peak_mib`: MiB live at the peak, above what was before.

    Args:
        at_iter: the iteration measured, counted from 0; the first ones also allocate optimizer state.
    """

    priority = 'VERY_LOW'

    def __init__(self, at_iter: int = 3) -> None:
        self.at_iter = at_iter

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Begin to measure."""
        if runner.iter == self.at_iter:
            self._meter = PeakMeter('cuda' if get_device() == 'cuda' else 'cpu')
            self._meter.__enter__()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Log what was measured."""
        if runner.iter == self.at_iter:
            self._meter.__exit__(None, None, None)
            peak_mib = self._meter.peak_bytes / 2**20
            runner.message_hub.update_info('peak_mib', peak_mib)
            runner.visualizer.add_scalar('peak_mib', peak_mib, runner.iter)
            runner.logger.info(f'Peak of live memory in iteration {runner.iter}: {peak_mib:.1f} MiB above the weights')
