"""Several processes: gradients averaged block by block."""

from mmlocal.engine.distributed.data_parallel import LocalDataParallel
from mmlocal.engine.distributed.reducer import GradientReducer

__all__ = ['GradientReducer', 'LocalDataParallel']
