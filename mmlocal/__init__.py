"""Supervised local learning for OpenMMLab: networks trained block by block.

Importing this package is cheap: mmdet, mmseg, mmpretrain and mmagic are imported only when a config
names one of their types.
"""

from mmlocal.version import __version__

__all__ = ['__version__']
