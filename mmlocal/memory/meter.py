"""Peak of live tensor bytes, measured."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

__all__ = ['PeakMeter']


class PeakMeter:
    """Measures the peak of live tensor bytes above what was live before.

    On the CPU from the allocator's own events, which are the same on every machine; on CUDA from the
    caching allocator's statistics (allocated bytes).

    Example:
        >>> with PeakMeter() as meter:
        ...     doubled = torch.ones(1024, 1024) * 2
        >>> meter.peak_bytes // 2**20
        8
    """

    def __init__(self, device: str | torch.device = 'cpu') -> None:
        self.device = torch.device(device)
        self.peak_bytes = 0

    def __enter__(self) -> PeakMeter:
        """Begin to measure."""
        if self.device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device)
        else:
            self._profile = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
            self._profile.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Stop, and set `peak_bytes`."""
        if self.device.type == 'cuda':
            self.peak_bytes = torch.cuda.max_memory_allocated(self.device) - self._before
            return
        self._profile.__exit__(*error)
        profiler: Any = self._profile.profiler
        results = profiler.kineto_results
        events = sorted((e.start_ns(), e.nbytes()) for e in results.events() if e.name() == '[memory]')
        self.peak_bytes = max(accumulate((nbytes for _, nbytes in events), initial=0))
        del self._profile
