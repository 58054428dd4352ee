"""A run that was stopped anywhere ends as the one that was not, to the bit."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mini import SceneSpec, export_coco, make_scenes
from mmlocal.config import localize
from mmlocal.errors import ConfigError

EPOCHS, BATCHES = 3, 3
REPLACED = 'replacement/faster_rcnn_r18_replacement-fusion_mini-coco.py'


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('mini')
    for split, count in (('train', 2 * BATCHES), ('val', 2)):
        export_coco(root, split, make_scenes(split, count, seed=0, spec=SceneSpec(size=64, empty=0.0)))
    return f'{root}/'


@pytest.fixture
def train(config, data_root, tmp_path):
    """Train a thin detector, by MAN or as given, with random flips, saving every iteration; return its runner."""

    def run(name, path='man/faster_rcnn_r18_man_mini-coco.py', **options):
        cfg = config(path)
        cfg.model.backbone.base_channels = 8
        cfg.model.neck.in_channels = [8, 16, 32, 64]
        cfg.train_dataloader.update(batch_size=2)
        cfg.train_dataloader.dataset.data_root = data_root
        cfg.train_dataloader.dataset.pipeline.insert(3, dict(type='RandomFlip', prob=0.5))
        for key in (
            'val_dataloader',
            'val_evaluator',
            'val_cfg',
            'test_dataloader',
            'test_evaluator',
            'test_cfg',
        ):
            cfg.pop(key)
        cfg.train_cfg.max_epochs = EPOCHS
        cfg.train_cfg.pop('val_interval')
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=1)
        cfg.work_dir = str(tmp_path / name)
        cfg.log_level = 'ERROR'
        cfg.merge_from_dict(copy.deepcopy(options))
        runner = Runner.from_cfg(Config(localize(cfg)._cfg_dict.to_dict()))
        runner.train()
        return runner

    run.data_root = data_root
    return run


def state(runner):
    optimizer = runner.optim_wrapper.optimizer
    moments = [value for p in optimizer.param_groups for q in p['params'] for value in optimizer.state[q].values()]
    rates = [group['lr'] for group in optimizer.param_groups]
    return runner.model.state_dict(), moments, rates


def assert_same(found, expected):
    assert found[0].keys() == expected[0].keys()
    for name, value in expected[0].items():
        assert torch.equal(found[0][name], value), name
    assert len(found[1]) == len(expected[1]) > 0
    assert all(torch.equal(a, b) for a, b in zip(found[1], expected[1], strict=True))
    assert found[2] == expected[2]


@pytest.mark.integration
@pytest.mark.parametrize('policy', ['joint', 'per_block'])
def test_resuming_at_any_iteration(train, tmp_path, policy):
    options = {'optim_wrapper.step_policy': policy}
    expected = state(train('whole', **options))
    for stop in (2, BATCHES, 2 * BATCHES + 1) if policy == 'joint' else (BATCHES + 1,):
        checkpoint = tmp_path / 'whole' / f'iter_{stop}.pth'
        runner = train(f'resumed_{stop}', **options, **{'load_from': str(checkpoint), 'resume': True})
        assert_same(state(runner), expected)
        assert runner.iter == EPOCHS * BATCHES


@pytest.mark.integration
def test_resuming_a_loop_by_iterations(train, tmp_path):
    """Two passes over the images, flipped anew in each, by two workers."""
    options = {
        'train_cfg': dict(type='IterBasedTrainLoop', max_iters=2 * BATCHES, _delete_=True),
        'train_dataloader.sampler.type': 'InfiniteSampler',
        'train_dataloader.num_workers': 2,
        'param_scheduler': None,
    }
    expected = state(train('whole', **options))
    checkpoint = str(tmp_path / 'whole' / f'iter_{BATCHES + 1}.pth')
    assert_same(state(train('resumed', **options, load_from=checkpoint, resume=True)), expected)


@pytest.mark.integration
def test_resuming_joined_datasets(train, tmp_path, config):
    joined = config('man/faster_rcnn_r18_man_mini-coco.py').train_dataloader.dataset.to_dict()
    joined['pipeline'].insert(3, dict(type='RandomFlip', prob=0.5))
    joined['data_root'] = train.data_root
    options = {
        'train_dataloader.dataset': dict(type='ConcatDataset', datasets=[joined, joined], _delete_=True),
        'train_cfg.max_epochs': 1,
    }
    expected = state(train('whole', **options))
    checkpoint = str(tmp_path / 'whole' / f'iter_{BATCHES + 1}.pth')
    assert_same(state(train('resumed', **options, load_from=checkpoint, resume=True)), expected)


@pytest.mark.integration
def test_resuming_behind_a_switch_with_a_drawn_size_and_gradients_on_the_way(train, tmp_path):
    """At 2 and 5 gradients of one or two batches wait for a step; the pipeline changes after 3 iterations."""
    switched = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='PhotoMetricDistortion'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackDetInputs'),
    ]
    resize = dict(type='BatchSyncRandomResize', random_size_range=(32, 96), size_divisor=32, interval=2)
    options = {
        'custom_hooks': [dict(type='PipelineSwitchHook', switch_epoch=1, switch_pipeline=switched)],
        'model.data_preprocessor.batch_augments': [resize],
        'optim_wrapper.accumulative_counts': 3,
        'train_dataloader.num_workers': 2,
        'train_dataloader.persistent_workers': True,
    }
    whole = train('whole', **options)
    transforms = [type(one).__name__ for one in whole.train_dataloader.dataset.pipeline.transforms]
    assert transforms == [one['type'] for one in switched]
    for stop in (2, 5, 7):
        checkpoint = str(tmp_path / 'whole' / f'iter_{stop}.pth')
        assert_same(state(train(f'resumed_{stop}', **options, load_from=checkpoint, resume=True)), state(whole))


@pytest.mark.integration
def test_resuming_units_that_learn_in_turn(train, tmp_path):
    given = dict(path=REPLACED, **{'model.backbone.turns': 2, 'train_cfg.max_epochs': 2})
    expected = state(train('whole', **given))
    for stop in (1, BATCHES, BATCHES + 1):
        checkpoint = tmp_path / 'whole' / f'iter_{stop}.pth'
        assert_same(state(train(f'resumed_{stop}', **given, load_from=str(checkpoint), resume=True)), expected)


@pytest.mark.integration
def test_other_replaced_units_are_refused_with_both_shown(train, tmp_path):
    train('first', REPLACED, **{'train_cfg.max_epochs': 1})
    checkpoint = str(tmp_path / 'first' / f'iter_{BATCHES}.pth')
    other = {'model.backbone.every': None, 'model.backbone.replace': ['layer2.1'], 'load_from': checkpoint}
    with pytest.raises(ConfigError) as caught:
        train('second', REPLACED, resume=True, **other)
    message = str(caught.value)
    assert 'trained by another plan' in message
    assert 'layer1.1: transformation of layer1.0 and layer2.0' in message
    assert message.count('layer2.1: transformation of layer2.0 and layer3.0') == 2


@pytest.mark.integration
def test_another_plan_is_refused_with_both_shown(train, tmp_path):
    train('first', **{'train_cfg.max_epochs': 1})
    checkpoint = str(tmp_path / 'first' / f'iter_{BATCHES}.pth')
    other = {'model.backbone.partition': ['layer1.0', 'layer2.0', 'layer3.0'], 'load_from': checkpoint}
    with pytest.raises(ConfigError) as caught:
        train('second', resume=True, **other)
    message = str(caught.value)
    assert 'trained by another plan' in message
    assert 'stem … layer1.1: momentum of layer2.0' in message
    assert 'stem … layer1.0: momentum of layer1.1' in message
    before = torch.load(checkpoint, weights_only=False)['state_dict']
    frozen = {'optim_wrapper.optimizer.lr': 0.0, 'param_scheduler': None, 'train_cfg.max_epochs': 1}
    weights_only = train('third', **other, **frozen).model.state_dict()
    assert torch.equal(weights_only['backbone.layer4.1.conv1.weight'], before['backbone.layer4.1.conv1.weight'])
