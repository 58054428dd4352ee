"""Balanced and budgeted cuts of real configs: found, kept with the checkpoint, or refused with the floor."""

import copy
import re

import pytest
import torch
from mmengine.config import Config, ConfigDict

from mmlocal.cli import prepare
from mmlocal.config import localize
from mmlocal.errors import ConfigError
from mmlocal.hosts import name_installed_distributions
from mmlocal.planning import balanced_cuts, count_costs, end_to_end, estimate, image_batch, parse_bytes, plan, variants

SHAPE, BATCH = (3, 32, 32), 16


@pytest.fixture
def cfg(config):
    """ResNet-32 by MAN on the mini digits, to be cut as its partition says."""
    return localize(config('man/resnet32_man_mini-digits.py'))


def planned(cfg, **partition):
    cfg = copy.deepcopy(cfg)
    cfg.model.backbone.partition = ConfigDict(shape=SHAPE, batch=BATCH, **partition)
    return plan(cfg)


def total(cfg):
    step, ledger = estimate(cfg, SHAPE, BATCH)
    return step.static_bytes() + ledger.peak_bytes


def test_balanced_cuts_are_better_than_even_ones_and_the_same_each_time(cfg):
    balanced = planned(cfg, type='Balanced', num_blocks=4)
    cuts = balanced.model.backbone.partition
    assert len(cuts) == 3
    assert planned(cfg, type='Balanced', num_blocks=4).model.backbone.partition == cuts
    even = copy.deepcopy(cfg)
    even.model.backbone.partition = ConfigDict(type='Even', num_blocks=4)
    assert estimate(balanced, SHAPE, BATCH)[1].peak_bytes < estimate(even, SHAPE, BATCH)[1].peak_bytes


def test_units_that_cannot_end_a_block_are_passed_over(config):
    """Behind some units of Swin no copy of the next one can stand."""
    name_installed_distributions()
    cfg = localize(config('man/upernet_swin-tiny_man-plus-plus_cityscapes.py'))
    cfg.model.backbone.partition = ConfigDict(type='Balanced', num_blocks=4, shape=(3, 128, 128), batch=2)
    found = plan(cfg)
    assert len(found.model.backbone.partition) == 3
    assert estimate(found, (3, 128, 128), 2)[1].peak_bytes > 0


def test_a_budget_gets_the_fewest_blocks_that_fit(cfg):
    budget = int(0.7 * total(end_to_end(cfg)))
    found = planned(cfg, type='Budget', peak=budget)
    assert total(found) <= budget
    fewer = planned(cfg, type='Balanced', num_blocks=len(found.model.backbone.partition))
    assert total(fewer) > budget


def test_a_large_budget_needs_no_cuts(cfg):
    assert planned(cfg, type='Budget', peak='8GiB').model.backbone.partition == []


def test_a_small_budget_turns_on_what_saves_more(cfg):
    cfg.model.backbone.partition = ['layer1.1']
    costs = count_costs(cfg, SHAPE, BATCH)
    smallest = min(costs.total(*balanced_cuts(costs, count + 1)) for count in range(len(costs.names)))
    found = planned(cfg, type='Budget', peak=int(0.93 * smallest)).model.backbone
    assert found.auxiliary.get('chunks') == 4


def test_below_the_floor_the_floor_is_told(cfg):
    with pytest.raises(ConfigError) as caught:
        planned(cfg, type='Budget', peak='1MiB')
    (fault,) = caught.value.faults
    assert re.fullmatch(
        r'peak = 1 MiB is below what any plan needs\. The smallest is about \d+ MiB, of \d+ blocks, auxiliaries in '
        r'chunks.*: \d+ MiB weights and optimizer state, aten.* and smaller',
        fault,
    )


def test_auxiliaries_that_have_no_chunks_are_planned_without(config):
    """Patches are parts already."""
    cfg = localize(config('hpff/resnet32_hpff-infopro_k16_cifar10.py'))
    with pytest.raises(ConfigError, match=r'The smallest is about .* blocks, as configured: '):
        planned(cfg, type='Budget', peak='1MiB')


def test_the_plan_of_a_checkpoint_is_taken_as_it_was(cfg, tmp_path):
    cfg.model.backbone.partition = ConfigDict(type='Balanced', num_blocks=4)
    run = copy.deepcopy(cfg)
    run.model.backbone.partition = ['layer1.1', 'layer3.0']
    torch.save(dict(state_dict={}, meta=dict(cfg=run.pretty_text)), tmp_path / 'a.pth')
    assert plan(cfg, str(tmp_path / 'a.pth')).model.backbone.partition == ['layer1.1', 'layer3.0']


def test_of_the_plan_of_a_checkpoint_only_what_was_planned_is_taken(cfg, tmp_path):
    cfg.model.backbone.partition = ConfigDict(type='Budget', peak='8GiB')
    run = copy.deepcopy(cfg)
    run.model.backbone.update(partition=['layer1.1'], recompute=True)
    run.model.backbone.auxiliary.update(chunks=4)
    run.model.backbone.auxiliary.bridge.momentum = 0.5
    torch.save(dict(state_dict={}, meta=dict(cfg=run.pretty_text)), tmp_path / 'a.pth')
    found = plan(cfg, str(tmp_path / 'a.pth')).model.backbone
    assert (found.partition, found.recompute, found.auxiliary.chunks) == (['layer1.1'], True, 4)
    assert found.auxiliary.bridge.momentum == 0.995


def test_weights_that_are_loaded_have_no_say_in_the_cuts(cfg, data_root, tmp_path):
    run = copy.deepcopy(cfg)
    run.model.backbone.partition = ['layer1.1', 'layer3.0']
    torch.save(dict(state_dict={}, meta=dict(cfg=run.pretty_text)), tmp_path / 'a.pth')
    cfg.load_from = str(tmp_path / 'a.pth')
    cfg.model.backbone.partition = ConfigDict(type='Balanced', num_blocks=2, shape=SHAPE, batch=BATCH)
    assert len(prepare(cfg, ('train', 'val')).model.backbone.partition) == 1


@pytest.mark.parametrize('partition', [dict(type='Balanced', num_blocks=2), dict(type='Budget', peak='8GiB')])
def test_a_list_of_auxiliaries_is_refused(cfg, partition):
    cfg.model.backbone.auxiliary = [cfg.model.backbone.auxiliary]
    with pytest.raises(ConfigError, match='auxiliary is a list'):
        planned(cfg, **partition)


def test_of_a_checkpoint_without_a_config_the_cuts_are_planned(cfg, tmp_path):
    torch.save(dict(state_dict={}), tmp_path / 'a.pth')
    cfg.model.backbone.partition = ConfigDict(type='Balanced', num_blocks=2, shape=SHAPE, batch=BATCH)
    assert len(plan(cfg, str(tmp_path / 'a.pth')).model.backbone.partition) == 1


@pytest.fixture
def data_root(cfg, tmp_path):
    """Folders where the config looks for its images."""
    cfg.train_dataloader.dataset.data_root = cfg.val_dataloader.dataset.data_root = str(tmp_path)
    for split in ('train', 'val'):
        (tmp_path / split).mkdir()


def test_validation_plans_and_tells_where(cfg, data_root):
    cfg.model.backbone.partition = ConfigDict(type='Balanced', num_blocks=3, shape=SHAPE, batch=BATCH)
    assert len(prepare(cfg, ('train', 'val')).model.backbone.partition) == 2
    cfg.model.backbone.partition = ConfigDict(type='Budget', peak='much')
    with pytest.raises(ConfigError) as caught:
        prepare(cfg, ('train', 'val'))
    place = 'model.backbone.partition.peak'
    assert caught.value.faults == (f"{place} = 'much' is no amount of memory, as '8GiB' or '500MiB' is",)


def test_wrong_arguments_of_a_planned_partition(cfg):
    cfg.model.backbone.partition = ConfigDict(type='Balanced', blocks=3)
    with pytest.raises(ConfigError) as caught:
        prepare(cfg, [])
    assert any('model.backbone.partition' in fault and 'blocks' in fault for fault in caught.value.faults)


@pytest.mark.parametrize(
    ('path', 'images'),
    [
        ('man/resnet50_man-plus-plus_imagenet.py', ((3, 224, 224), 32)),
        ('man/faster_rcnn_r50_man_coco.py', ((3, 800, 1344), 2)),
        ('man/deeplabv3_r50_man-plus-plus_cityscapes.py', ((3, 512, 1024), 2)),
        ('man/edsr_x2_man_div2k.py', ((3, 48, 48), 16)),
    ],
)
def test_images_of_a_config(config, path, images):
    name_installed_distributions()
    assert image_batch(config(path), {}) == images


@pytest.mark.parametrize('given', [dict(shape=(3, 'a', 9)), dict(shape=(3, 9)), dict(shape=(3, 9, 9), batch=0)])
def test_images_that_are_none(config, given):
    with pytest.raises(ConfigError, match='channels, height, width, and images, whole and positive'):
        image_batch(config('man/resnet50_man-plus-plus_imagenet.py'), given)


def test_images_that_no_transform_tells(config):
    cfg = config('man/resnet50_man-plus-plus_imagenet.py')
    cfg.train_dataloader.dataset.pipeline = [dict(type='LoadImageFromFile')]
    with pytest.raises(ConfigError, match='no transform of train_dataloader tells the size'):
        image_batch(cfg, {})
    assert image_batch(cfg, dict(shape=(3, 9, 9))) == ((3, 9, 9), 32)


def test_another_partition_is_taken_where_no_step_can_be_estimated(config):
    """As `--local` asks for: its user gave no partition."""
    cfg = config('man/resnet50_man-plus-plus_imagenet.py')
    cfg.train_dataloader.dataset.pipeline = [dict(type='LoadImageFromFile')]
    cfg.model.backbone.partition = dict(type='Balanced', num_blocks=4, otherwise='Even')
    assert plan(localize(cfg)).model.backbone.partition == dict(type='Even', num_blocks=4)


@pytest.mark.parametrize(('text', 'amount'), [('8GiB', 2**33), ('500 MB', 5e8), ('1.5K', 1500), (7, 7)])
def test_amounts_of_memory(text, amount):
    assert parse_bytes(text) == amount


def test_variants_of_a_local_config_begin_end_to_end(cfg):
    names = [variant.name for variant in variants(cfg, None)]
    assert names[0] == 'end-to-end'
    assert 'local as configured, units recomputed' in names


def test_variants_of_a_stock_config_are_end_to_end():
    cfg = Config(dict(model=dict(backbone=dict(type='ResNet')), optim_wrapper=dict()))
    assert [variant.name for variant in variants(cfg, None)] == ['end-to-end', 'end-to-end, mixed precision']
