"""Statistics of the table against values by hand, and what its cells say."""

import math

import pytest

from mmlocal.benchmarks import E2E, Case, against, mean_and_spread
from mmlocal.benchmarks.page import page, rows_of
from mmlocal.benchmarks.picture import draw

E2E_ERRORS, DGL_ERRORS = [7.0, 7.2, 7.4], [8.0, 8.6]
ABOUT = dict(command='make it', recipe='As it is.', cuts='None.')


def test_mean_and_spread_by_hand():
    # Deviations -0.2, 0, 0.2: 0.08 / 2 = 0.04.
    mean, deviation = mean_and_spread(E2E_ERRORS)
    assert (mean, deviation) == (pytest.approx(7.2), pytest.approx(0.2))


def test_pooled_standard_error_by_hand():
    # Squares 0.08 and 0.18, 3 degrees of freedom: variance 0.26 / 3, times 1/3 + 1/2.
    found = against(DGL_ERRORS, E2E_ERRORS)
    assert found.difference == pytest.approx(1.1)
    assert found.error == pytest.approx(math.sqrt(0.26 / 3 * 5 / 6))
    # A single value adds none of its own: variance 0.08 / 2, times 1 + 1/3.
    assert against([8.0], E2E_ERRORS).error == pytest.approx(math.sqrt(0.04 * 4 / 3))
    assert against([8.0], [7.0]) == (1.0, None)


def run_of(error, seed):
    return dict(
        test_accuracy=100 - error, seed=seed, peak_mib=20.0 if error > 7.5 else 40.0, static_mib=2.0, hardware='a CPU',
        device='cpu', torch='2', finished='2026-11-27', val_accuracy=[80.0, 92.0],
    )  # fmt: skip


@pytest.fixture
def rows():
    cases = [Case(E2E), Case('dgl', 4), Case('predsim', 10, 'own')]
    runs = {(E2E, i): error for i, error in enumerate(E2E_ERRORS)} | {('dgl', i): e for i, e in enumerate(DGL_ERRORS)}
    keys = {(case, seed): f'{case.method}{seed}' for case in cases for seed in range(3)}
    kept = {f'{method}{seed}': run_of(error, seed) for (method, seed), error in runs.items()}
    kept['of other settings'] = run_of(99.0, 0)
    return rows_of(
        cases, keys, dict(runs=kept, times={'dgl0': dict(ratio=1.5, ratio_spread=0.1, peak_mib=20.0, static_mib=2.0)})
    )


def test_the_table_says_what_was_measured_and_nothing_else(rows):
    text = page(rows, ABOUT, None)
    assert '| end-to-end | – | common | 0, 1, 2 | 7.20 ± 0.20 | – | 40.0 (1.00) | 42.0 (1.00) | – |' in text
    assert '| dgl | 4 | common | 0, 1 | 8.30 ± 0.42 | +1.10 ± 0.27 | 20.0 (0.50) | 22.0 (0.52) | 1.50 ± 0.10 |' in text
    assert '| predsim | 10 | own | – | not run yet | – | – | – | – |' in text
    assert 'runs: 5, 2026-11-27 to 2026-11-27; a CPU, cpu, torch 2. 1 of 3 rows are not run yet' in text.replace(
        '\n', ' '
    )
    assert '99.0' not in text
    assert '| dgl-k4 | 80.0 | 92.0 |' in text


def test_published_figures_stand_beside_the_nearest_row(rows):
    lines = [line for line in page(rows, ABOUT, None).splitlines() if '1901.06656' in line]
    assert [line.split('|')[3].strip() for line in lines] == ['7.20 ± 0.20 (end-to-end)', 'not run yet', 'not run yet']


def test_nothing_is_drawn_of_nothing(rows, tmp_path):
    assert draw(rows, tmp_path / 'drawn.png')
    assert (tmp_path / 'drawn.png').stat().st_size > 10_000
    for row in rows[1:]:  # end-to-end alone is only a line
        row.runs.clear()
    assert not draw(rows, tmp_path / 'none.png')
    assert not (tmp_path / 'none.png').exists()
