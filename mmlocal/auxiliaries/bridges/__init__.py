"""What carries a block's output to its local head."""

from mmlocal.auxiliaries.bridges.bridge import Bridge
from mmlocal.auxiliaries.bridges.choices import choose
from mmlocal.auxiliaries.bridges.copies import CopyBridge
from mmlocal.auxiliaries.bridges.identity import IdentityBridge
from mmlocal.auxiliaries.bridges.momentum import MomentumBridge

__all__ = ['Bridge', 'CopyBridge', 'IdentityBridge', 'MomentumBridge', 'choose']
