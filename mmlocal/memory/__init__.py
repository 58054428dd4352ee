"""Measuring live bytes, and counting them without running a kernel."""

from mmlocal.memory.fake import fake_step, make_fake
from mmlocal.memory.ledger import Entry, Ledger
from mmlocal.memory.meter import PeakMeter
from mmlocal.memory.saved import SavedBytes

__all__ = ['Entry', 'Ledger', 'PeakMeter', 'SavedBytes', 'fake_step', 'make_fake']
