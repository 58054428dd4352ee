"""Keys of runs, the file of records, and the order of work."""

import pytest

from mmlocal.benchmarks import CUTS, E2E, MAIN, Case, Records, all_cases, config_of, key_of
from mmlocal.benchmarks.cases import in_order, seeds_of
from mmlocal.errors import ConfigError

MAN = Case('man', 4)


@pytest.fixture(scope='module')
def plain():
    return config_of(MAN, 0)


@pytest.mark.parametrize(
    ('case', 'seed', 'options'),
    [
        (MAN, 1, {}),
        (Case('man', 10), 0, {}),
        (Case('man_plus_plus', 4), 0, {}),
        (MAN, 0, {'optim_wrapper.optimizer.lr': 0.11}),
        (MAN, 0, {'model.backbone.auxiliary.bridge.momentum': 0.99}),
        (MAN, 0, {'train_dataloader.dataset.val_images': 400}),
    ],
    ids=['seed', 'blocks', 'method', 'rate', 'preset', 'data'],
)
def test_another_setting_is_another_key(plain, case, seed, options):
    assert key_of(config_of(case, seed, options)) != key_of(plain)


def test_the_key_holds_version_and_device_and_no_places(plain):
    key = key_of(plain)
    assert key == key_of(config_of(MAN, 0))
    assert len({key, key_of(plain, version='0.0.1'), key_of(plain, device='cuda')}) == 3
    assert key == key_of(config_of(MAN, 0, {'train_dataloader.dataset.data_root': '/elsewhere', 'work_dir': 'there'}))


def test_own_recipes_are_the_published_ones():
    infopro = config_of(Case('infopro', 4, 'own'), 0).model.backbone.auxiliary
    assert tuple(infopro.loss_weight) == (0.0, 1.0)
    assert tuple(infopro.terms.reconstruction.loss_weight) == (1.0, 0.0)
    predsim = config_of(Case('predsim', 4, 'own'), 0)
    assert dict(predsim.optim_wrapper.optimizer) == dict(type='Adam', lr=5e-4)
    assert predsim.param_scheduler[0].milestones == [6, 9, 11, 11]
    # As published for the whole training of 100 epochs.
    long = config_of(Case('predsim', 4, 'own'), 0, {'train_cfg.max_epochs': 100})
    assert long.param_scheduler[0].milestones == [50, 75, 89, 94]


def test_what_was_added_stays_and_a_broken_file_is_told(tmp_path):
    records = Records(tmp_path / 'new' / 'accuracy.json')
    assert records.table('runs') == {}
    records.add('runs', 'a', dict(error=1))
    Records(records.path).add('runs', 'b', dict(error=2))
    records.add('times', 'a', dict(ratio=1.5))
    assert records.table('runs') == {'a': {'error': 1}, 'b': {'error': 2}}
    assert [path.name for path in records.path.parent.iterdir()] == ['accuracy.json']
    records.path.write_text('{"runs": {')
    with pytest.raises(ConfigError, match='Restore it with git'):
        records.table('runs')


def test_one_seed_of_the_main_table_comes_first():
    cases = all_cases(None, [10, 4])
    work = in_order((case, seed) for case in cases for seed in seeds_of(case))
    assert {case for case, seed in work[: len(MAIN) + 1]} == {Case(E2E), *(Case(method, 4) for method in MAIN)}
    assert {seed for _, seed in work[: len(MAIN) + 1]} == {0}
    assert sum(case in (Case(E2E), Case('man', 4)) for case, _ in work) == 6
    assert [case.blocks for case, _ in work if case.method == 'hpff'] == [4, 4, 4, 10]
    assert Case('predsim', 4, 'own') in cases
    assert len(in_order((case, seed) for case in all_cases(['man'], [4]) for seed in seeds_of(case, 5))) == 5


def test_unknown_rows_are_refused_all_at_once():
    with pytest.raises(ConfigError) as told:
        all_cases(['men', 'dgl'], [4, 5])
    assert told.value.faults == (
        "--methods: 'men' is no preset. Did you mean 'man'?",
        f'--blocks: 5 has no cuts here; there are {", ".join(map(str, CUTS))}',
    )
