"""Optimizer wrappers and hooks: local learning in mmengine's training loop."""

from mmlocal.engine.hooks import MomentumHook
from mmlocal.engine.optim_wrapper import BlockwiseAmpOptimWrapper, BlockwiseOptimWrapper

__all__ = ['BlockwiseAmpOptimWrapper', 'BlockwiseOptimWrapper', 'MomentumHook']
