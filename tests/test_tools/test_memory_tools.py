"""The memory report and the benchmark on a small config."""

import pytest

CONFIG = 'configs/man/resnet32_man_mini-digits.py'
SMALL = ('--shape', 3, 32, 32, '--batch', 4)


@pytest.mark.integration
def test_report_lists_ways_to_train_and_draws_the_step(call, tmp_path, monkeypatch):
    picture = tmp_path / 'memory.png'
    report = call('analysis_tools/memory_report', CONFIG, *SMALL, '--rounds', 1, '--out', picture)
    assert report.code == 0
    for way in ('end-to-end', 'end-to-end, units recomputed', 'local as configured', 'local, 4 balanced blocks'):
        assert f'│ {way} ' in report.out
    assert 'is made of' in report.out
    assert picture.stat().st_size > 10_000


@pytest.mark.integration
def test_report_estimates_what_no_machine_holds(call, tmp_path):
    report = call(
        'analysis_tools/memory_report',
        'configs/e2e/resnet32_mini-digits.py',
        *('--local', 'dgl', '--estimate', '--shape', 3, 224, 224, '--batch', 1024, '--out', tmp_path / 'a.png'),
    )
    assert report.code == 0
    (line,) = [line for line in report.out.splitlines() if '│ end-to-end  ' in line]
    assert float(line.split('│')[2]) > 40_000


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--shape', 3, 0, 32), 'argument --shape: must be a whole number above 0, got 0'),
        (('--out', 'picture.txt'), "argument --out: 'picture.txt' must end with .png, .pdf or .svg"),
        (('--shape', 1, 32, 32), 'has 1 channels: the generated images have 3'),
    ],
)
def test_report_refuses(call, arguments, message):
    report = call('analysis_tools/memory_report', CONFIG, '--estimate', *arguments)
    assert report.code == 2
    assert message in report.err


@pytest.mark.integration
def test_benchmark_holds_a_local_config_against_itself(run):
    result = run('benchmark', CONFIG, *SMALL, '--rounds', 1, '--amp')
    assert result.returncode == 0, result.stderr[-2000:]
    rows = {line.split('│')[1].strip(): line.split('│')[2:] for line in result.stdout.splitlines() if '│' in line}
    ways = {'end-to-end', 'end-to-end, with_cp', 'local'}
    assert ways | {f'{way}, mixed precision' for way in ways} <= set(rows)
    assert float(rows['local'][1]) < 1
    assert float(rows['local, mixed precision'][1]) < float(rows['local'][1])


def test_benchmark_refuses_a_single_stock_config(call):
    result = call('benchmark', 'configs/e2e/resnet32_mini-digits.py', *SMALL)
    assert result.code == 2
    assert 'a single config must be local' in result.err
