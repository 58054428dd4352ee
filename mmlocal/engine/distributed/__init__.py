"""Several processes: begun alike, gradients averaged block by block, ended together."""

from mmlocal.engine.distributed.data_parallel import LocalDataParallel
from mmlocal.engine.distributed.fully_sharded import FullyShardedStrategy, shard_blocks
from mmlocal.engine.distributed.processes import join_processes, place_process
from mmlocal.engine.distributed.ranks import current_ranks, end_together
from mmlocal.engine.distributed.reducer import GradientReducer
from mmlocal.engine.distributed.settings import compare_data, compare_settings

__all__ = [
    'FullyShardedStrategy',
    'GradientReducer',
    'LocalDataParallel',
    'compare_data',
    'compare_settings',
    'current_ranks',
    'end_together',
    'join_processes',
    'place_process',
    'shard_blocks',
]
