"""Time of a step, measured in turn with steps of end-to-end; and hours that are to be expected."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.config import Config

__all__ = ['expected_hours', 'time_beside']

_UNKNOWN_RATIO = 2.0
"""Of a method that has not been timed yet."""


def time_beside(base: Config, cfg: Config, rounds: int, device: str) -> dict[str, Any]:
    """Steps of a method and of end-to-end in turn, so that both meet the same state of the machine.

    Args:
        base: the config of end-to-end.
        cfg: of the method.
        rounds: timed steps of each.
        device: `cpu` or `cuda`.

    Returns:
        Entry for the table `times`: `ratio` of the medians, `seconds` of the method, peak and static MiB.
    """
    from mmlocal.planning import Variant, image_batch, measure

    shape, batch = image_batch(cfg, {})
    whole, local = measure([Variant('end-to-end', base), Variant('method', cfg)], shape, batch, rounds, device)
    ratios = [b / a for a, b in zip(whole.seconds, local.seconds, strict=True)]
    return dict(
        ratio=local.median / whole.median,
        # Of the ratios of neighbouring steps: how far the machine was from quiet.
        ratio_spread=statistics.stdev(ratios) if rounds > 1 else None,
        seconds=local.median,
        rounds=rounds,
        peak_mib=local.peak_bytes / 2**20,
        static_mib=local.static_bytes / 2**20,
    )


def expected_hours(
    steps: Iterable[tuple[int, Mapping[str, Any] | None]], step_seconds: float, at_a_time: int
) -> tuple[float, int]:
    """Hours of trainings side by side, and how many of them are guessed because their method was not timed.

    Args:
        steps: of each training, and its entry of the table `times`.
        step_seconds: of end-to-end.
        at_a_time: trainings side by side, each as fast as alone.

    Example:
        >>> expected_hours([(3600, dict(ratio=1.5)), (3600, None)], 0.5, 2)
        (0.875, 1)
    """
    listed = list(steps)
    ratios = [time['ratio'] if time else _UNKNOWN_RATIO for _, time in listed]
    seconds = sum(count * ratio * step_seconds for (count, _), ratio in zip(listed, ratios, strict=True))
    return seconds / 3600 / at_a_time, sum(time is None for _, time in listed)
