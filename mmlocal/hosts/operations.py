"""mmcv's compiled operations, which detection needs, and classification does without."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Sequence

__all__ = ['COMPILE', 'has_operations', 'operations']

COMPILE = 'pip install --no-build-isolation --no-deps --no-cache-dir --force-reinstall onedl-mmcv'
"""What gives an installed mmcv its operations; without torch in sight (pip's build isolation) it is built without."""


def has_operations() -> bool:
    """Whether there is an mmcv with compiled operations."""
    try:
        return importlib.util.find_spec('mmcv._ext') is not None
    except ModuleNotFoundError:
        return False


@functools.cache
def operations() -> Sequence[str]:
    """Names of mmcv's operations, or none where there are none."""
    return tuple(importlib.import_module('mmcv.ops').__all__) if has_operations() else ()
