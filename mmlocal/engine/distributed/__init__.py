"""Several processes: gradients averaged block by block."""

from mmlocal.engine.distributed.data_parallel import LocalDataParallel
from mmlocal.engine.distributed.fully_sharded import FullyShardedStrategy, shard_blocks
from mmlocal.engine.distributed.processes import join_processes
from mmlocal.engine.distributed.reducer import GradientReducer

__all__ = ['FullyShardedStrategy', 'GradientReducer', 'LocalDataParallel', 'join_processes', 'shard_blocks']
