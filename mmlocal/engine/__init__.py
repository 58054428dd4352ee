"""Optimizer wrappers and hooks: local learning in mmengine's training loop."""

from mmlocal.engine.amp import BlockwiseAmpOptimWrapper
from mmlocal.engine.blended_cosine import BlendedCosineLR
from mmlocal.engine.distributed import FullyShardedStrategy, LocalDataParallel
from mmlocal.engine.exact_resume import CountedSampler, ExactResumeHook, SeedSample
from mmlocal.engine.hooks import MomentumHook, PlanHook, ProgressHook, SafeCheckpointHook
from mmlocal.engine.loops import ResumableEpochLoop, ResumableIterLoop
from mmlocal.engine.optim_wrapper import BlockwiseOptimWrapper

__all__ = [
    'BlendedCosineLR',
    'BlockwiseAmpOptimWrapper',
    'BlockwiseOptimWrapper',
    'CountedSampler',
    'ExactResumeHook',
    'FullyShardedStrategy',
    'LocalDataParallel',
    'MomentumHook',
    'PlanHook',
    'ProgressHook',
    'ResumableEpochLoop',
    'ResumableIterLoop',
    'SafeCheckpointHook',
    'SeedSample',
]
