"""Hooks of local learning."""

from mmlocal.engine.hooks.momentum import MomentumHook
from mmlocal.engine.hooks.peak_memory import PeakMemoryHook
from mmlocal.engine.hooks.progress import ProgressHook
from mmlocal.engine.hooks.summary import PlanHook

__all__ = ['MomentumHook', 'PeakMemoryHook', 'PlanHook', 'ProgressHook']
