"""Initial weights depend on the seed and on nothing else: every method, every task, through the tool that trains."""

import copy
import itertools

import pytest
import torch
from mmengine.runner import Runner

from mmlocal.validation.data import check_loops
from tests.test_methods.test_battery import CASES, ROOT, TABLE, TASKS

DATA = {'cls': 'digits', 'det': 'coco', 'seg': 'cityscapes', 'sr': 'div2k'}
SMALLER = {
    'cls': ['train_dataloader.batch_size=4'],
    'det': ['train_dataloader.batch_size=4', 'model.backbone.base_channels=8', 'model.neck.in_channels=[8,16,32,64]'],
    'seg': [],
    'sr': ['train_dataloader.dataset.pipeline.3.gt_patch_size=24'],
}


# Each method once, each task several times; the other pairs are `slow`.
METHODS = list(dict.fromkeys(method for method, _ in CASES))


def is_in_the_share(method, task):
    own = [one for name, one in CASES if name == method]
    return own[METHODS.index(method) % len(own)] == task


PAIRS = [
    pytest.param(*pair, marks=[] if is_in_the_share(*pair) else pytest.mark.slow, id='-'.join(pair)) for pair in CASES
]


@pytest.fixture
def start(call, make_mini, tmp_path, monkeypatch):
    """Weights at the start of runs with seeds 1, 2 and 1 again, as the tool builds them."""

    def start(method, task):
        started = []

        def weights(runner):
            runner._init_model_weights()
            return {name: p.detach().clone() for name, p in runner.model.named_parameters()}

        def train(runner):
            started.append(weights(runner))
            for seed in (2, 1):
                # As another runner, less what has no say in it.
                runner.set_randomness(seed)
                runner.model = runner.build_model(copy.deepcopy(runner.cfg.model))
                check_loops(runner, ['train'])
                started.append(weights(runner))

        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(Runner, 'train', train)
        for slow in ('_log_env', 'dump_config'):
            monkeypatch.setattr(Runner, slow, lambda *_: None)
        monkeypatch.setattr('gc.collect', lambda *_: 0)
        root = make_mini(DATA[task])
        roots = [f'{loader}_dataloader.dataset.data_root={root}/' for loader in ('train', 'val')]
        if task == 'det':
            roots.append(f'val_evaluator.ann_file={root}/annotations/instances_val2017.json')
        config = ROOT / 'configs' / TASKS[task][0]
        local = ['--local', method, '--blocks', TABLE[method].blocks, '--work-dir', tmp_path]
        options = [*roots, *SMALLER[task], 'randomness.seed=1', 'log_level=ERROR']
        result = call('train', config, *local, '--no-progress', '--cfg-options', *options)
        assert result.code == 0, result.err
        return started

    return start


@pytest.mark.integration
@pytest.mark.parametrize(('method', 'task'), PAIRS)
def test_initial_weights_are_those_of_the_seed(start, method, task):
    first, other, again = start(method, task)
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn = [name for name, p in first.items() if len(set(itertools.islice(p.flatten().tolist(), 100))) > 1]
    assert len(drawn) > 10
    assert [name for name in drawn if torch.equal(first[name], other[name])] == []
