"""Local task heads: `loss(feature, inputs, data_samples)` gives a dict of losses."""

from mmlocal.auxiliaries.heads.dense_det import DenseDetHead

__all__ = ['DenseDetHead']
