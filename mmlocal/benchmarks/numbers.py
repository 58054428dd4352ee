"""Means, spreads, and the difference of two groups of runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ['Against', 'against', 'mean_and_spread']


class Against(NamedTuple):
    """How far one group of runs is from another.

    Args:
        difference: of the means, in the unit of the values.
        error: pooled standard error of the difference; None where no group has two values to estimate it by.
    """

    difference: float
    error: float | None


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and standard deviation of a sample; None for a single value.

    Example:
        >>> mean_and_spread([7.0, 8.0, 9.0])
        (8.0, 1.0)
        >>> mean_and_spread([7.0])
        (7.0, None)
    """
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def against(values: Sequence[float], others: Sequence[float]) -> Against:
    """Mean of `values` less that of `others`, with the standard error from the pooled variance of both.

    sp² = ((n-1) s² + (m-1) t²) / (n + m - 2), error = sp √(1/n + 1/m): the error of Student's test for two samples.

    Example:
        >>> against([7.0, 8.0, 9.0], [5.0, 6.0, 7.0]).difference
        2.0
        >>> round(against([7.0, 8.0, 9.0], [5.0, 6.0, 7.0]).error, 4)
        0.8165
    """
    difference = statistics.mean(values) - statistics.mean(others)
    freedom = len(values) + len(others) - 2
    if freedom < 1:
        return Against(difference, None)
    squares = sum((len(group) - 1) * statistics.variance(group) for group in (values, others) if len(group) > 1)
    return Against(difference, math.sqrt(squares / freedom * (1 / len(values) + 1 / len(others))))
