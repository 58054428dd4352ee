"""Optimizer wrappers, hooks and loops: local learning in mmengine's training loop."""

from mmlocal.engine.distributed import FullyShardedStrategy, LocalDataParallel
from mmlocal.engine.hooks import MomentumHook, PeakMemoryHook, PlanHook, ProgressHook
from mmlocal.engine.optimizers import BlockwiseAmpOptimWrapper, BlockwiseOptimWrapper, LocalOptimWrapperConstructor
from mmlocal.engine.resume import (
    CountedSampler,
    ExactResumeHook,
    InterruptHook,
    ResumableEpochLoop,
    ResumableIterLoop,
    SafeCheckpointHook,
)
from mmlocal.engine.schedulers import BlendedCosineLR

__all__ = [
    'BlendedCosineLR',
    'BlockwiseAmpOptimWrapper',
    'BlockwiseOptimWrapper',
    'CountedSampler',
    'ExactResumeHook',
    'FullyShardedStrategy',
    'InterruptHook',
    'LocalDataParallel',
    'LocalOptimWrapperConstructor',
    'MomentumHook',
    'PeakMemoryHook',
    'PlanHook',
    'ProgressHook',
    'ResumableEpochLoop',
    'ResumableIterLoop',
    'SafeCheckpointHook',
]
