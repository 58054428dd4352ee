"""The tools that look into trained networks, on a run of two iterations."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
LOCAL, STOCK = (ROOT / 'configs' / name for name in ('man/resnet32_man_mini-digits.py', 'e2e/resnet32_mini-digits.py'))


@pytest.fixture(autouse=True)
def shared_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools' / 'analysis_tools'))
    yield
    sys.modules.pop('unit_features', None)


@pytest.fixture(scope='module')
def trained(run, make_mini, tmp_path_factory):
    """Work directory of a short local training, its checkpoint, and options that name its data."""
    data, work = make_mini('digits', 40), tmp_path_factory.mktemp('runs') / 'local'
    options = [
        '--cfg-options',
        *(f'{split}_dataloader.dataset.data_root={data}' for split in ('train', 'val', 'test')),
        'train_dataloader.batch_size=20',
    ]
    few = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'default_hooks.logger.interval=1']
    few += ['default_hooks.checkpoint.interval=1']
    result = run('train', LOCAL, '--work-dir', work, *options, *few)
    assert result.returncode == 0, result.stderr
    return work, work / 'epoch_1.pth', options


@pytest.mark.integration
def test_losses_of_every_block_are_drawn(trained, call):
    work, *_ = trained
    result = call('analysis_tools/plot_losses', work)
    assert (result.code, result.errors) == (0, [])
    assert (work / 'losses.png').stat().st_size > 10_000


def test_a_folder_without_logs(call, tmp_path):
    result = call('analysis_tools/plot_losses', tmp_path)
    assert result.code == 2
    assert result.errors == [f"error: no vis_data/scalars.json in '{tmp_path}': give the work directory of a run"]


def test_curves_add_up_the_terms_of_a_block(tool, tmp_path):
    log = tmp_path / '1' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    entry = {'loss': 1.0, 'block1.loss': 2.0, 'block1.loss_reconstruction': 3.0, 'block1.acc': 9.0, 'step': 10}
    log.write_text(json.dumps(entry) + '\n' + json.dumps({'accuracy/top1': 5, 'step': 10}) + '\n')
    curves = tool('analysis_tools/plot_losses').curves(tmp_path)
    assert dict(curves) == {'block1': [(10, 5.0)], 'model': [(10, 1.0)]}


@pytest.mark.integration
def test_probes_of_a_local_and_a_stock_network(trained, call, tmp_path):
    _, checkpoint, options = trained
    published = tmp_path / 'stock.pth'
    state = torch.load(checkpoint, weights_only=False)['state_dict']
    torch.save(dict(state_dict={k: v for k, v in state.items() if '.local_auxiliaries.' not in k}), published)
    result = call(
        'analysis_tools/probe_blocks', LOCAL, checkpoint, '--against', STOCK, published, '--out', tmp_path, *options
    )
    assert (result.code, result.errors) == (0, [])
    rows = [line.split('│') for line in result.out.splitlines() if 'layer' in line and '│' in line]
    assert len(rows) == 15
    # The same weights give the same accuracy, whether the network is local or not.
    assert all(row[3].strip() == row[4].strip() for row in rows)
    assert (tmp_path / 'probes.png').is_file()


@pytest.mark.integration
def test_a_network_is_like_itself(trained, call, tmp_path):
    _, checkpoint, options = trained
    shutil.copy(checkpoint, tmp_path / 'other.pth')
    other = tmp_path / 'other.pth'
    result = call(
        'analysis_tools/compare_features', LOCAL, checkpoint, LOCAL, other, '--out', tmp_path, '--images', 4, *options
    )
    assert (result.code, result.errors) == (0, [])
    lines = [line.split() for line in result.out.splitlines() if line.startswith(('stem', 'layer'))]
    assert len(lines) == 16
    assert {line[1] for line in lines} == {'1.000'}
    assert (tmp_path / 'cka.png').is_file()


def test_alignment_does_not_see_rotation_and_scale(tool):
    cka = tool('analysis_tools/compare_features').linear_cka
    torch.manual_seed(0)
    x, y = torch.randn(50, 6), torch.randn(50, 4)
    rotation, _ = torch.linalg.qr(torch.randn(6, 6))
    assert cka(x, 3 * x @ rotation + 1).item() == pytest.approx(1, abs=1e-6)
    assert cka(x, y).item() < 0.3


def test_savings_agree_with_the_published_ones(tool):
    """InfoPro's K = 2 within a point, and ResNet-110 with K = 55 and MAN at least 80 % below end-to-end."""
    count = tool('benchmarks/savings')
    cases = {(case.name, case.method, case.blocks): case for case in count.CASES}

    def saved(*key):
        case = cases[key]
        return 100 * (1 - count.held(case)[0] / count.end_to_end(case))

    assert saved('ResNet-101', 'infopro', 2) == pytest.approx(38.8, abs=1)
    assert saved('ResNet-152', 'infopro', 2) == pytest.approx(40.9, abs=1)
    assert saved('ResNet-110', 'man', 55) >= 80


def test_the_order_of_methods_is_told_as_it_is(tool, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    compare = tool('benchmarks/methods')
    found = {
        compare.Case('end-to-end'): ([10.0, 12.0], 100.0, 1.0),
        compare.Case('mlaan', 8): ([20.0, 30.0], 50.0, 3.0),
        compare.Case('dgl', 8): ([24.0, 28.0], 40.0, 2.0),
        compare.Case('greedy', 8): ([15.0, 16.0], 30.0, 1.5),
    }
    words = [line.split(' before ')[1].split('(')[0] for line in compare.verdicts(found, [8])]
    assert words == ['mlaan holds ', 'dgl is within the spread ', 'greedy does **not** hold ']
