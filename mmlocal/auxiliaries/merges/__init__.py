"""Joining a bridge's outputs with the feature bank: outputs of earlier units of the same forward, detached."""

from mmlocal.auxiliaries.merges.pooled import PooledBank
from mmlocal.auxiliaries.merges.pyramid import PyramidBank
from mmlocal.auxiliaries.merges.shallow import ShallowBank

__all__ = ['PooledBank', 'PyramidBank', 'ShallowBank']
