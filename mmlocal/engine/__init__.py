"""Optimizer wrappers and hooks: local learning in mmengine's training loop."""

from mmlocal.engine.blended_cosine import BlendedCosineLR
from mmlocal.engine.exact_resume import ExactResumeHook, ResumableEpochLoop, SeedSample
from mmlocal.engine.hooks import MomentumHook, PlanHook, SafeCheckpointHook
from mmlocal.engine.optim_wrapper import BlockwiseAmpOptimWrapper, BlockwiseOptimWrapper

__all__ = [
    'BlendedCosineLR',
    'BlockwiseAmpOptimWrapper',
    'BlockwiseOptimWrapper',
    'ExactResumeHook',
    'MomentumHook',
    'PlanHook',
    'ResumableEpochLoop',
    'SafeCheckpointHook',
    'SeedSample',
]
