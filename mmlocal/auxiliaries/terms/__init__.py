"""Losses beside the task's: `loss(feature, inputs, data_samples)` gives one tensor."""

from mmlocal.auxiliaries.terms.reconstruction import Reconstruction
from mmlocal.auxiliaries.terms.similarity import Similarity

__all__ = ['Reconstruction', 'Similarity']
