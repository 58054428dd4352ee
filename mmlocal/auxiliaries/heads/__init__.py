"""Local task heads: `loss(feature, inputs, data_samples)` gives a dict of losses."""

from mmlocal.auxiliaries.heads.cls import ClsHead
from mmlocal.auxiliaries.heads.contrast import ContrastHead
from mmlocal.auxiliaries.heads.dense_det import DenseDetHead
from mmlocal.auxiliaries.heads.dgl import DGLHead
from mmlocal.auxiliaries.heads.restoration import RestorationHead
from mmlocal.auxiliaries.heads.seg import SegHead

__all__ = ['ClsHead', 'ContrastHead', 'DGLHead', 'DenseDetHead', 'RestorationHead', 'SegHead']
