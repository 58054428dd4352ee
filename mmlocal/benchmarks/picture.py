"""Error against memory and time: a colour a method, a marker a K, labels at the points, end-to-end as a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmlocal.benchmarks.cases import E2E
from mmlocal.benchmarks.numbers import mean_and_spread
from mmlocal.benchmarks.page import Row

__all__ = ['draw']

# Paul Tol's "muted" and "vibrant" sets, told apart with every common colour blindness; labels say the rest.
_COLOURS = (
    '#332288', '#88CCEE', '#44AA99', '#117733', '#999933', '#DDCC77', '#CC6677', '#882255', '#AA4499',
    '#0077BB', '#EE7733', '#000000', '#777777', '#CC3311',
)  # fmt: skip
_MARKERS = {2: 'v', 4: 'o', 6: 's', 10: '^'}
_OTHER_MARKER = 'D'
_GAP = 11
"""Points between two labels, one above the other."""
_WIDE = 75
"""Points that a label may be wide."""


def draw(rows: Sequence[Row], path: Path) -> bool:
    """Write the picture; whether there was a local row to draw.

    Args:
        rows: the first is end to end; rows that were not run are left out.
        path: of the picture.
    """
    from matplotlib.figure import Figure

    base, run = rows[0], [row for row in rows if row.runs and row.case.method != E2E]
    if not run:
        return False
    methods = list(dict.fromkeys(row.case.method for row in rows if row.case.method != E2E))
    colours = {method: _COLOURS[i % len(_COLOURS)] for i, method in enumerate(methods)}
    figure = Figure(figsize=(13, 6), layout='constrained')
    panels: Any = figure.subplots(1, 2, sharey=True)
    what = ('peak memory of a step, share of end-to-end', 'time of a step, share of end-to-end')
    for panel, label, values in zip(panels, what, (_peaks(run, base), _times(run)), strict=True):
        _draw(panel, run, values, colours)
        if base.runs:
            mean = mean_and_spread(base.errors)[0]
            panel.axhline(mean, color='black', lw=1, ls='--')
            panel.annotate('end-to-end', (1, mean), (-2, 3), xycoords=('axes fraction', 'data'),
                           textcoords='offset points', ha='right', fontsize='small')  # fmt: skip
        panel.set_xlabel(f'{label}   (← better)')
        panel.grid(alpha=0.25)
    panels[0].set_ylabel('test error in %, mean and standard deviation   (↓ better)')
    _explain_markers(panels[1], sorted({row.case.blocks for row in run}))
    figure.savefig(path, dpi=120)
    return True


def _peaks(run: Sequence[Row], base: Row) -> list[float | None]:
    whole = base.peak_mib
    return [None if row.peak_mib is None or whole is None else row.peak_mib / whole for row in run]


def _times(run: Sequence[Row]) -> list[float | None]:
    return [None if row.time is None else float(row.time['ratio']) for row in run]


def _draw(panel: Any, run: Sequence[Row], values: Sequence[float | None], colours: dict[str, str]) -> None:
    points = []
    for row, value in zip(run, values, strict=True):
        if value is None:
            continue
        mean, deviation = mean_and_spread(row.errors)
        colour = colours[row.case.method]
        marker = _MARKERS.get(row.case.blocks, _OTHER_MARKER)
        panel.errorbar(value, mean, deviation, fmt=marker, color=colour, ms=7, capsize=2)
        name = row.case.method if row.case.recipe == 'common' else f'{row.case.method} ({row.case.recipe})'
        points.append((value, mean, name, colour))
    panel.margins(0.15)
    panel.set_xlim(left=0)
    _label(panel, sorted(points, key=lambda point: point[1]))


def _label(panel: Any, points: Sequence[tuple[float, float, str, str]]) -> None:
    """Names beside the points, moved up where they would lie on one another."""
    taken: list[tuple[float, float]] = []
    for x, y, name, colour in points:
        across, up = panel.transData.transform((x, y)) * 72 / panel.figure.dpi
        place = up
        while any(abs(across - a) < _WIDE and abs(place - b) < _GAP for a, b in taken):
            place += _GAP / 2
        taken.append((across, place))
        panel.annotate(name, (x, y), (9, place - up - 3), textcoords='offset points', fontsize='small', color=colour,
                       arrowprops=dict(arrowstyle='-', color=colour, lw=0.4, shrinkA=0, shrinkB=4))  # fmt: skip


def _explain_markers(panel: Any, blocks: Sequence[int]) -> None:
    for k in blocks:
        panel.plot([], [], _MARKERS.get(k, _OTHER_MARKER), color='grey', label=f'K = {k}')
    if blocks:
        panel.legend(loc='upper right', fontsize='small')
