"""Several processes on a machine without a GPU."""

from __future__ import annotations

import torch
import torch.distributed as dist

__all__ = ['join_processes']


def join_processes(launcher: str) -> None:
    """Join the processes that `torchrun` has started, over gloo, where there is no GPU.

    mmengine joins them otherwise, but chooses a GPU first.
    """
    if launcher == 'pytorch' and not torch.cuda.is_available() and not dist.is_initialized():
        dist.init_process_group('gloo')
