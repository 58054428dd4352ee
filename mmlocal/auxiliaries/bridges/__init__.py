"""What carries a block's output to its local head."""

from mmlocal.auxiliaries.bridges.identity import IdentityBridge
from mmlocal.auxiliaries.bridges.momentum import MomentumBridge

__all__ = ['IdentityBridge', 'MomentumBridge']
