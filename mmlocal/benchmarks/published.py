"""Errors on Fashion-MNIST that papers report."""

from __future__ import annotations

from typing import NamedTuple

from mmlocal.benchmarks.cases import E2E

__all__ = ['PUBLISHED', 'Published']


class Published(NamedTuple):
    """A figure of a paper.

    Args:
        method: its preset here, or `E2E`.
        error: on the test files, in percent.
        what: network and training.
        source: where it is to be read.
    """

    method: str
    error: float
    what: str
    source: str


_WHAT = 'VGG8B, 7.3 M, every layer, 2 pixels of jitter, flips'
_SOURCE = 'arXiv 1901.06656, its repository'
PUBLISHED = (
    Published(E2E, 4.53, _WHAT, _SOURCE),
    Published('predsim', 4.65, _WHAT, _SOURCE),
    Published('greedy', 5.66, f'{_WHAT}, "pred"', _SOURCE),
)
