"""The tool `tools/benchmarks/accuracy.py` where it trains nothing."""

import importlib.util
import sys
from pathlib import Path

import pytest

from mmlocal.benchmarks import Case, Records, config_of, key_of

TOOL = Path(__file__).parents[2] / 'tools' / 'benchmarks' / 'accuracy.py'


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    spec = importlib.util.spec_from_file_location('tool_accuracy', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def call(*args):
        monkeypatch.setattr(sys, 'argv', ['accuracy.py', '--out', str(tmp_path), *args])
        try:
            tool.main()
            code = 0
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return call


def test_a_missing_set_says_how_to_get_it(call, tmp_path):
    code, _, told = call('--methods', 'dgl', '--blocks', '4', '--seeds', '1', '--data-root', str(tmp_path / 'none'))
    assert code == 2
    assert told.startswith(f"error: Fashion-MNIST is not in '{tmp_path / 'none'}'")
    assert 'apt-get install dataset-fashion-mnist' in told
    assert 'torchvision' in told
    assert len(told.splitlines()) == 1


def test_what_is_to_be_done_is_listed_with_hours(call, make_fashion_mnist, tmp_path):
    root = str(make_fashion_mnist(tmp_path / 'set', True))
    options = {'train_dataloader.dataset.val_images': 2, 'train_dataloader.batch_size': 10}
    arguments = ['--dry-run', '--methods', 'end-to-end', 'dgl', '--blocks', '4', '--seeds', '2', '--data-root', root]
    arguments += ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    assert call(*arguments)[1].endswith('4 trainings to be done; --time measures how long they take.\n')

    records, base, dgl = Records(tmp_path / 'accuracy.json'), Case('end-to-end'), Case('dgl', 4)
    records.add('times', key_of(config_of(base, 0, options)), dict(ratio=1.0, seconds=36.0))
    records.add('runs', key_of(config_of(dgl, 0, options)), {})
    # 12 epochs of 10 steps of 36 s make 1.2 hours; dgl is not timed and counts twice; two at a time.
    told = call(*arguments)[1].splitlines()
    assert told[:-1] == ['end-to-end seed 0', 'end-to-end seed 1', 'dgl-k4 seed 1']
    assert (
        told[-1] == '3 trainings to be done, about 2.4 hours, 2 at a time (1 of a method that is not timed, guessed).'
    )


def test_unknown_rows_and_numbers_are_refused(call):
    code, _, told = call('--methods', 'men', '--blocks', '5')
    assert code == 2
    assert [line[:14] for line in told.splitlines()] == ['error: --metho', 'error: --block']
    code, _, told = call('--jobs', '0')
    assert (code, told) == (2, 'error: --jobs has to be 1 or more\n')
