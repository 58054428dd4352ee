"""Hooks of local learning."""

from mmlocal.engine.hooks.checkpoint import SafeCheckpointHook
from mmlocal.engine.hooks.momentum import MomentumHook
from mmlocal.engine.hooks.plan import PlanHook
from mmlocal.engine.hooks.progress import ProgressHook

__all__ = ['MomentumHook', 'PlanHook', 'ProgressHook', 'SafeCheckpointHook']
