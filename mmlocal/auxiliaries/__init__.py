"""What trains a block: bridge and head."""

from mmlocal.auxiliaries.auxiliary import Auxiliary
from mmlocal.auxiliaries.bridges import IdentityBridge, MomentumBridge
from mmlocal.auxiliaries.heads import DenseDetHead
from mmlocal.auxiliaries.momentum_copy import MomentumCopy

__all__ = ['Auxiliary', 'DenseDetHead', 'IdentityBridge', 'MomentumBridge', 'MomentumCopy']
