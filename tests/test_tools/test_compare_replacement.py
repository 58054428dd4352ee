"""The table of replaced units: measured ways in turn, written between the marks of a report."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def compare(monkeypatch, tool, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.chdir(ROOT)
    compare = tool('benchmarks/replacement')

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['compare_replacement.py', *args, '--out', str(tmp_path / 'report.md')])
        compare.main()
        return (tmp_path / 'report.md').read_text()

    compare.run = run
    return compare


def rows(text):
    return {
        cells[1]: cells[2:-1]
        for cells in ([c.strip() for c in line.split('|')] for line in text.splitlines())
        if cells[1:]
    }


def test_steps_are_measured(compare, monkeypatch):
    network = compare.Network('small', 'resnet32_cifar10', 'resnet32_replacement_cifar10', (3, 32, 32), 2)
    monkeypatch.setattr(compare, 'NETWORKS', (network,))
    monkeypatch.setattr(compare, 'WAYS', {'scalars': {}, '2 turns': dict(turns=2, recompute=True)})
    found = rows(compare.run('steps', '--rounds', '2'))
    e2e, scalars, turns = (found[name] for name in ('end-to-end', 'scalars', '2 turns'))
    assert [row[0] for row in (e2e, scalars, turns)] == ['', '3', '3']
    assert e2e[1] == '0.467'
    assert scalars[1] == turns[1] == '0.370'
    assert float(scalars[2]) < float(e2e[2])
    assert float(turns[3]) < float(scalars[3])
    assert e2e[5] == e2e[-1] == '1.000'
    assert float(scalars[9]) == pytest.approx(sum(map(float, scalars[6:9])), abs=0.002)


def test_scores_are_held_against_end_to_end(compare, monkeypatch):
    scores = {'end-to-end': 90.0, 'scalars': 81.0, 'transformation': 99.0}
    trained = []
    monkeypatch.setattr(compare, 'train', lambda side, seed, args: trained.append((side, seed)))
    monkeypatch.setattr(compare, 'results', lambda path, metric: (scores[path.parent.name.removesuffix('-16px-16e')],))
    compare.run('mini', '--seeds', '0', '1')
    found = rows(compare.run('mini', '--seeds', '0', '1'))
    assert found['scalars'] == ['81.0 / 81.0', '81.0', '0.900 / 0.900', '0.900']
    assert set(trained) == {(side, seed) for side in scores for seed in (0, 1)}


def test_words_around_the_tables_stay(compare, tmp_path):
    path = tmp_path / 'a.md'
    path.write_text('# Title\n\n<!-- mini:begin -->\nold\n<!-- mini:end -->\n\nwords\n')
    compare.write('mini', ['new', ''], path)
    compare.write('steps', ['more', ''], path)
    assert path.read_text() == (
        '# Title\n\n<!-- mini:begin -->\nnew\n<!-- mini:end -->\n\nwords\n'
        '\n<!-- steps:begin -->\nmore\n<!-- steps:end -->\n'
    )
