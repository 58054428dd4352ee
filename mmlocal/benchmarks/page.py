"""The page of the accuracy benchmark, from its records."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmlocal.benchmarks.cases import COMMON, E2E, OWN, Case
from mmlocal.benchmarks.numbers import against, mean_and_spread
from mmlocal.benchmarks.published import PUBLISHED

__all__ = ['Row', 'page', 'rows_of']

_NOT_YET = 'not run yet'
_NONE = '–'
_WIDTH = 120


@dataclass
class Row:
    """What is known of a case.

    Args:
        case: of the row.
        runs: entries of the table `runs`, by seed.
        time: its entry of the table `times`, or none.
    """

    case: Case
    runs: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    time: Mapping[str, Any] | None = None

    @property
    def errors(self) -> list[float]:
        """Test errors in percent, by rising seed."""
        return [100 - self.runs[seed]['test_accuracy'] for seed in sorted(self.runs)]

    @property
    def peak_mib(self) -> float | None:
        """Of one step, above weights and optimizer state: of the runs, or before there are any of the timed steps."""
        found = next((run['peak_mib'] for run in self.runs.values()), None)
        return found if found is not None else (self.time or {}).get('peak_mib')

    @property
    def total_mib(self) -> float | None:
        """Peak, weights, gradients, buffers, optimizer state, auxiliaries: all that is live at the worst moment."""
        static = next((run['static_mib'] for run in self.runs.values()), (self.time or {}).get('static_mib'))
        return None if self.peak_mib is None or static is None else self.peak_mib + static


def rows_of(
    cases: Iterable[Case], keys: Mapping[tuple[Case, int], str], tables: Mapping[str, Mapping[str, Any]]
) -> list[Row]:
    """Put each record to its case, by its key and by nothing else: what was run with other settings is left out.

    Args:
        cases: in the order of the page.
        keys: of each case and seed.
        tables: `runs` and `times` of the records.
    """
    rows = []
    for case in cases:
        seeds = {seed: key for (one, seed), key in keys.items() if one == case}
        runs = {seed: tables['runs'][key] for seed, key in seeds.items() if key in tables['runs']}
        times = [tables['times'][key] for key in seeds.values() if key in tables['times']]
        rows.append(Row(case, runs, times[0] if times else None))
    return rows


def page(rows: Sequence[Row], about: Mapping[str, str], picture: str | None) -> str:
    """The whole page, in Markdown.

    Args:
        rows: the first is end to end.
        about: `command`, `recipe` and `cuts`, sentences on what was run.
        picture: file name of the picture, if there is one.
    """
    base = rows[0]
    parts = [
        '# Accuracy, memory and time: Fashion-MNIST',
        _paragraph(_measured(rows, about)),
        _paragraph(about['recipe']),
        _paragraph(
            'Test error: the mean over seeds and its standard deviation; the epoch is chosen on the validation split '
            'and tested once. To end-to-end: the difference of the means in points, ± its pooled standard error; fewer '
            'is better. Peak: live MiB of one step above weights and optimizer state; total: with these, gradients, '
            'buffers and auxiliaries. Time of a step: measured apart, in turn with steps of end-to-end, as a '
            'share of them; ± is the standard deviation over pairs of steps, which a busy machine widens. In brackets: '
            'as a share of end-to-end. Recipe: `common` is the same for all, `own` the published one (below).'
        ),
        '\n'.join(_table(rows, base)),
        *([f'![Test error against peak memory and time]({picture})'] if picture else []),
        '## Recipes and cuts',
        _paragraph(about['cuts']),
        '## Convergence',
        '\n'.join(_convergence(rows)),
        '## Published, and here',
        _paragraph(
            'Where papers report Fashion-MNIST, beside the nearest row of this page: other networks, of other sizes, '
            'trained longer, so that it is the gap to end-to-end that can be compared.'
        ),
        '\n'.join(_published(rows)),
    ]
    return '\n\n'.join(parts) + '\n'


def _measured(rows: Sequence[Row], about: Mapping[str, str]) -> str:
    runs = [run for row in rows for run in row.runs.values()]
    missing = sum(not row.runs for row in rows)
    where = sorted({f'{run["hardware"]}, {run["device"]}, torch {run["torch"]}' for run in runs})
    dates = sorted({run['finished'] for run in runs})
    when = f'{dates[0]} to {dates[-1]}' if dates else 'no date yet'
    return (
        f'`{about["command"]}`; runs: {len(runs)}, {when}; {"; ".join(where) or "no hardware yet"}. '
        f'{missing} of {len(rows)} rows are not run yet; the command trains what is missing, and `--dry-run` lists it.'
    )


def _table(rows: Sequence[Row], base: Row) -> list[str]:
    return [
        '| method | K | recipe | seeds | test error, % | to end-to-end | peak MiB | total MiB | time of a step |',
        '|' + ' --- |' * 9,
        *('| ' + ' | '.join(_cells(row, base)) + ' |' for row in rows),
    ]


def _cells(row: Row, base: Row) -> list[str]:
    case = row.case
    seeds = ', '.join(map(str, sorted(row.runs))) or _NONE
    errors, gap = _NOT_YET, _NONE
    if row.runs:
        errors = _spread(*mean_and_spread(row.errors))
        if base.runs and case.method != E2E:
            gap = _signed(*against(row.errors, base.errors))
    return [
        case.method,
        str(case.blocks) if case.method != E2E else _NONE,
        case.recipe,
        seeds,
        errors,
        gap,
        _share(row.peak_mib, base.peak_mib),
        _share(row.total_mib, base.total_mib),
        _spread(row.time['ratio'], row.time.get('ratio_spread')) if row.time else _NONE,
    ]


def _spread(mean: float, deviation: float | None) -> str:
    return f'{mean:.2f}' if deviation is None else f'{mean:.2f} ± {deviation:.2f}'


def _signed(difference: float, error: float | None) -> str:
    return f'{difference:+.2f}' if error is None else f'{difference:+.2f} ± {error:.2f}'


def _share(value: float | None, of: float | None) -> str:
    if value is None:
        return _NONE
    return f'{value:.1f}' if of is None else f'{value:.1f} ({value / of:.2f})'


def _convergence(rows: Sequence[Row]) -> list[str]:
    """Accuracy on the validation split after each epoch, of the first seed of every row that was run."""
    run = [(row.case, row.runs[min(row.runs)]) for row in rows if row.runs]
    if not run:
        return [f'Accuracy on the validation split after each epoch: {_NOT_YET}.']
    epochs = max(len(entry['val_accuracy']) for _, entry in run)
    return [
        'Accuracy on the validation split in % after each epoch, first seed:',
        '',
        '| | ' + ' | '.join(map(str, range(1, epochs + 1))) + ' |',
        '|' + ' --- |' * (epochs + 1),
        *(f'| {case} | ' + ' | '.join(f'{value:.1f}' for value in entry['val_accuracy']) + ' |' for case, entry in run),
    ]


def _published(rows: Sequence[Row]) -> list[str]:
    by_case = {row.case: row for row in rows}
    lines = ['| method | published, error in % | here, error in % |', '| --- | --- | --- |']
    for one in PUBLISHED:
        candidates = [Case(one.method)] if one.method == E2E else _nearest(one.method, by_case)
        row = next((by_case[case] for case in candidates if case in by_case and by_case[case].runs), None)
        here = f'{_spread(*mean_and_spread(row.errors))} ({row.case})' if row else _NOT_YET
        lines.append(f'| {one.method} | {one.error:.2f} ({one.what}; {one.source}) | {here} |')
    return lines


def _nearest(method: str, by_case: Mapping[Case, Row]) -> list[Case]:
    """Of a method whose paper trains every layer by itself: the most blocks first, its own recipe first."""
    mine = [case for case in by_case if case.method == method]
    return sorted(mine, key=lambda case: (-case.blocks, [OWN, COMMON].index(case.recipe)))


def _paragraph(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
