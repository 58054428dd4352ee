"""The short form of `make bench-mutations`: a config with one value changed at random is refused or trains."""

import copy
import random
from types import SimpleNamespace

import pytest

from mmlocal.benchmarks.mutations import KINDS, draw
from mmlocal.benchmarks.trials import small, stock_trains, try_config, warm_up
from mmlocal.hosts import name_installed_distributions
from tests.test_tools.conftest import ROOT

pytestmark = [pytest.mark.forks, pytest.mark.integration]

# By the data of the config: seed and number of mutations.
SHARE = dict(digits=(4, 22), coco=(5, 8))


@pytest.fixture(scope='module')
def base(make_mini, write_config, tmp_path_factory):
    """A local config by its data, small and warmed up: `base('digits')`."""

    def base(name):
        if name == 'coco':
            path = write_config('man/faster_rcnn_r18_man_mini-coco.py', 'custom_hooks = []\n')
        else:
            path = tmp_path_factory.mktemp('mutations') / 'digits.py'
            loader = f'dict(dataset=dict(data_root={str(make_mini("digits", 16))!r}))'
            inherited = str(ROOT / 'configs' / 'man' / 'resnet32_man_mini-digits.py')
            path.write_text(
                f'_base_ = {inherited!r}\ntrain_dataloader = val_dataloader = {loader}\ncustom_hooks = []\n'
            )
        name_installed_distributions()
        config = small(str(path))
        warm_up(config)
        return config

    return base


@pytest.mark.parametrize('name', SHARE)
def test_a_mutation_is_refused_before_training_or_trains(base, name):
    config, (seed, count) = base(name), SHARE[name]
    for number in range(count):
        mutation = draw(random.Random(f'{seed} {number}'), config)
        trial = try_config(mutation.apply(config))
        assert trial.outcome in ('refused', 'trains'), f'{mutation}: {trial}'
        assert bool(trial.said) == (trial.outcome == 'refused'), mutation
        assert trial.iterations == 0 or trial.outcome == 'trains', f'{mutation}: {trial}'


def test_trials_tell_apart_what_becomes_of_a_config(base, monkeypatch):
    config = base('digits')
    assert try_config(config).outcome == 'trains'
    # Whatever the host says of it, it says it in a sentence, unless nobody listens.
    wrong = copy.deepcopy(config)
    wrong['model']['head']['in_channels'] = 3
    trial = try_config(wrong)
    assert (trial.outcome, trial.iterations) == ('refused', 0)
    assert 'model.head: the first validation fails: RuntimeError' in trial.said
    assert not stock_trains(wrong)
    monkeypatch.setattr('mmlocal.benchmarks.trials.exit_with_message', lambda main: main)
    assert try_config(wrong).outcome == 'traceback'


def test_the_page_counts_by_kind_and_lists_what_failed(tool):
    mutate = tool('analysis_tools/mutate')
    row = dict(
        config='e2e/a', kind='zero', mutation='zero: a: 1 -> 0', stock_trains=False, seconds=1.0, peak_bytes=2**30
    )
    rows = [
        dict(row, number=0, outcome='refused', said='error: a = 0 is below 1'),
        dict(row, number=1, outcome='trains', said=''),
        dict(row, number=2, outcome='refused', said='error: a', stock_trains=True),
        dict(row, number=3, outcome='traceback', said='Traceback\nKeyError: b', kind='NaN'),
    ]
    page = mutate.page(rows, SimpleNamespace(seed=3, configs=['e2e/a']))
    assert '| zero | 3 | 2 | 1 | 0 | 0 | 0 | 1 |' in page
    assert '| NaN | 1 | 0 | 0 | 0 | 1 | 0 | 0 |' in page
    assert '| all | 4 | 2 | 1 | 0 | 1 | 0 | 1 |' in page
    assert all(f'| {kind} |' in page for kind in KINDS)
    assert '- 3, `e2e/a`, `zero: a: 1 -> 0`: traceback: KeyError: b' in page
    assert page.count('- 2, `e2e/a`') == 1
