"""What trains a block: bridge, merge with the feature bank, head and terms."""

from mmlocal.auxiliaries.auxiliary import Auxiliary
from mmlocal.auxiliaries.bridges import Bridge, CopyBridge, IdentityBridge, MomentumBridge
from mmlocal.auxiliaries.heads import ClsHead, ContrastHead, DenseDetHead, DGLHead, RestorationHead, SegHead
from mmlocal.auxiliaries.merges import PooledBank, PyramidBank, ShallowBank
from mmlocal.auxiliaries.momentum_copy import MomentumCopy
from mmlocal.auxiliaries.patches import PatchAuxiliary
from mmlocal.auxiliaries.streams import Streams
from mmlocal.auxiliaries.terms import Reconstruction, Similarity

__all__ = [
    'Auxiliary',
    'Bridge',
    'ClsHead',
    'ContrastHead',
    'CopyBridge',
    'DGLHead',
    'DenseDetHead',
    'IdentityBridge',
    'MomentumBridge',
    'MomentumCopy',
    'PatchAuxiliary',
    'PooledBank',
    'PyramidBank',
    'Reconstruction',
    'RestorationHead',
    'SegHead',
    'ShallowBank',
    'Similarity',
    'Streams',
]
