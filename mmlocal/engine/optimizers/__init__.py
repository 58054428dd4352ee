"""Optimizer wrappers that train block by block."""

from mmlocal.engine.optimizers.amp_optim_wrapper import BlockwiseAmpOptimWrapper
from mmlocal.engine.optimizers.constructor import LocalOptimWrapperConstructor
from mmlocal.engine.optimizers.optim_wrapper import BlockwiseOptimWrapper

__all__ = ['BlockwiseAmpOptimWrapper', 'BlockwiseOptimWrapper', 'LocalOptimWrapperConstructor']
