"""What trains a block: bridge and head."""

from mmlocal.auxiliaries.auxiliary import Auxiliary
from mmlocal.auxiliaries.bridges import IdentityBridge, MomentumBridge
from mmlocal.auxiliaries.heads import ClsHead, DenseDetHead, SegHead
from mmlocal.auxiliaries.momentum_copy import MomentumCopy

__all__ = ['Auxiliary', 'ClsHead', 'DenseDetHead', 'IdentityBridge', 'MomentumBridge', 'MomentumCopy', 'SegHead']
