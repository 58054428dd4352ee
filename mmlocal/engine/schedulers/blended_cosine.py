"""The learning rate of this field's scripts for CIFAR: a cosine with a blended warm-up."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from mmlocal.registry import PARAM_SCHEDULERS

__all__ = ['BlendedCosineLR']


@PARAM_SCHEDULERS.register_module()
class BlendedCosineLR(LRSchedulerMixin, _ParamScheduler):
    """In epoch e = 1 … E: `c = lr / 2 * (1 + cos(pi * e / E))`; up to e = W, `c * (e - 1) / W + s * (W + 1 - e) / W`.

    Source: InfoPro's released code (arXiv 2101.10832) and its descendants, with W = 10 and s = 0.01.
    mmengine's own schedulers multiply where this one blends.

    Args:
        optimizer: given by the runner.
        T_max: E, the epochs of the training.
        warmup: W.
        warmup_lr: s.
        **kwargs: further arguments of mmengine's schedulers.
    """

    def __init__(self, optimizer: Any, T_max: int, warmup: int = 10, warmup_lr: float = 0.01, **kwargs: Any) -> None:
        self.T_max = T_max
        self.warmup = warmup
        self.warmup_lr = warmup_lr
        super().__init__(optimizer, **kwargs)

    def _get_value(self) -> list[float]:
        epoch = self.last_step + 1
        cosine = [base / 2 * (1 + math.cos(math.pi * epoch / self.T_max)) for base in self.base_values]
        if epoch > self.warmup:
            return cosine
        share = (epoch - 1) / self.warmup
        return [value * share + self.warmup_lr * (1 - share) for value in cosine]
