"""Measuring live bytes."""

from mmlocal.memory.hook import PeakMemoryHook
from mmlocal.memory.meter import PeakMeter
from mmlocal.memory.saved import SavedBytes

__all__ = ['PeakMemoryHook', 'PeakMeter', 'SavedBytes']
