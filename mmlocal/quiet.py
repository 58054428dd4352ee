"""Silence where something is tried: what a component says there it says again in the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger

__all__ = ['silent']


@contextmanager
def silent() -> Iterator[None]:
    """Nothing that is logged inside is shown."""
    logger = MMLogger.get_current_instance()
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
