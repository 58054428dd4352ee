import copy

import pytest
from mmengine.config import Config
from mmengine.registry import Registry

from mmlocal.auxiliaries.heads.levels import place_on_levels
from mmlocal.cli import find_config
from mmlocal.config import find_backbone, is_local, localize
from mmlocal.errors import ConfigError

FASTER_RCNN = 'man/faster_rcnn_r18_man_mini-coco.py'
AUXILIARY = dict(type='mmlocal.Auxiliary', bridge=dict(type='mmlocal.MomentumBridge'))


@pytest.fixture(autouse=True)
def no_network_is_built(monkeypatch):
    """A detector's own head is, to see whether it trains by itself."""
    build = Registry.build

    def refuse_networks(registry, config, *args, **kwargs):
        if config['type'] in ('mmlocal.LocalBackbone', 'ResNet', 'FPN', 'FasterRCNN', 'RetinaNet', 'FCOS'):
            pytest.fail(f'{config} was built')
        return build(registry, config, *args, **kwargs)

    monkeypatch.setattr(Registry, 'build', refuse_networks)


@pytest.fixture
def faster_rcnn(config):
    return config(FASTER_RCNN)


def host(name):
    """A config of mmdet with its ResNet made local, and nothing else said."""
    cfg = Config.fromfile(find_config(f'mmdet::{name}'))
    local = dict(arch='ResNet', partition=dict(type='Stage'), auxiliary=copy.deepcopy(AUXILIARY))
    cfg.model.backbone.update(local, type='mmlocal.LocalBackbone')
    return cfg


def head_of(cfg):
    return localize(cfg).model.backbone.auxiliary.head.to_dict()


def test_two_stage_host_gets_a_dense_head_for_its_classes(faster_rcnn):
    head = head_of(faster_rcnn)
    assert head['type'] == 'mmlocal.DenseDetHead'
    dense = head['dense_head']
    assert (dense['type'], dense['num_classes'], dense['stacked_convs']) == ('mmdet.FCOSHead', 10, 2)
    assert dense['in_channels'] == dense['feat_channels'] == faster_rcnn.model.neck.out_channels == 64
    assert 'train_cfg' not in head


def test_cascade_host_gets_one_for_the_classes_of_its_last_stage():
    cfg = host('cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py')
    for stage, classes in zip(cfg.model.roi_head.bbox_head, (1, 2, 33), strict=True):
        stage.num_classes = classes
    assert head_of(cfg)['dense_head']['num_classes'] == 33


def test_one_stage_host_gets_its_own_head_with_fewer_convolutions():
    cfg = host('retinanet/retinanet_r50_fpn_1x_coco.py')
    own = cfg.model.bbox_head.to_dict()
    head = head_of(cfg)
    assert own['stacked_convs'] == 4
    assert head == dict(
        type='mmlocal.DenseDetHead',
        dense_head=dict(own, stacked_convs=2),
        train_cfg=cfg.model.train_cfg.to_dict(),
    )


def test_host_with_strides_and_ranges_of_its_own_keeps_them_for_the_block_to_choose_from():
    cfg = host('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py')
    ranges = ((-1, 64), (64, 128), (128, 256), (256, 512), (512, 100000000))
    cfg.model.bbox_head.regress_ranges = ranges
    dense = head_of(cfg)['dense_head']
    assert (dense['type'], dense['stacked_convs']) == ('FCOSHead', 2)
    assert dense['strides'] == [8, 16, 32, 64, 128]
    on_one, on_three = place_on_levels(dense, [16]), place_on_levels(dense, [32, 64, 128])
    assert (on_one['strides'], on_one['regress_ranges']) == ([16], ((-1, 100000000),))
    assert (on_three['strides'], on_three['regress_ranges']) == (
        [32, 64, 128],
        ((-1, 256), (256, 512), (512, 100000000)),
    )


def test_entries_of_a_given_head_are_kept(faster_rcnn):
    faster_rcnn.model.backbone.auxiliary.head = dict(num_levels=3)
    head = head_of(faster_rcnn)
    assert (head['type'], head['num_levels']) == ('mmlocal.DenseDetHead', 3)
    assert head['dense_head']['num_classes'] == 10


def test_head_with_a_type_is_left_alone(faster_rcnn):
    faster_rcnn.model.backbone.auxiliary.head = dict(type='mine.Head')
    assert head_of(faster_rcnn) == dict(type='mine.Head')


def test_each_of_several_auxiliaries_gets_a_head(faster_rcnn):
    backbone = faster_rcnn.model.backbone
    backbone.auxiliary = [
        backbone.auxiliary,
        dict(backbone.auxiliary, head=dict(num_levels=2)),
        dict(AUXILIARY),
    ]
    heads = [auxiliary.head for auxiliary in localize(faster_rcnn).model.backbone.auxiliary]
    assert [head.get('num_levels') for head in heads] == [None, 2, None]
    assert all(head.dense_head.num_classes == 10 for head in heads)


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ({}, 'mmlocal.BlockwiseOptimWrapper'),
        (dict(type='OptimWrapper'), 'mmlocal.BlockwiseOptimWrapper'),
        (dict(type='AmpOptimWrapper', loss_scale='dynamic'), 'mmlocal.BlockwiseAmpOptimWrapper'),
        (
            dict(type='mmlocal.BlockwiseOptimWrapper', step_policy='per_block'),
            'mmlocal.BlockwiseOptimWrapper',
        ),
        (dict(constructor='LearningRateDecayOptimizerConstructor'), 'mmlocal.BlockwiseOptimWrapper'),
    ],
)
def test_optimizer_wrapper_becomes_block_wise_and_keeps_the_rest(faster_rcnn, given, expected):
    faster_rcnn.optim_wrapper = dict(given, optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(max_norm=1))
    wrapper = localize(localize(faster_rcnn)).optim_wrapper.to_dict()
    kept = dict(optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(max_norm=1))
    of_blocks = dict(type=expected, constructor='mmlocal.LocalOptimWrapperConstructor')
    if 'constructor' in given:
        of_blocks['base_constructor'] = given['constructor']
    assert wrapper == given | kept | of_blocks


def test_hooks_are_added_behind_those_that_are_there_each_once(faster_rcnn):
    given = [dict(type='mine.Hook'), dict(type='mmlocal.MomentumHook')]
    faster_rcnn.custom_hooks = given
    types = [hook.type for hook in localize(localize(faster_rcnn)).custom_hooks]
    assert types[:2] == ['mine.Hook', 'mmlocal.MomentumHook']
    assert 'mmlocal.PlanHook' in types
    assert len(types) == len(set(types))


@pytest.mark.parametrize('hooks', [None, []])
def test_hooks_are_added_where_there_are_none(faster_rcnn, hooks):
    faster_rcnn.custom_hooks = hooks
    types = {hook.type for hook in localize(faster_rcnn).custom_hooks}
    assert {'mmlocal.MomentumHook', 'mmlocal.PlanHook'} <= types


@pytest.mark.parametrize(
    'name', ['retinanet/retinanet_r50_fpn_1x_coco.py', 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py']
)
def test_a_second_call_changes_nothing(name):
    once = localize(host(name))
    assert localize(once).to_dict() == once.to_dict()


def test_the_input_is_not_changed(faster_rcnn):
    before = copy.deepcopy(faster_rcnn.to_dict())
    result = localize(faster_rcnn)
    result.model.backbone.auxiliary.head.dense_head.num_classes = 99
    result.model.backbone.auxiliary.bridge.momentum = 0
    result.optim_wrapper.optimizer.lr = 0
    assert faster_rcnn.to_dict() == before


def test_the_derived_head_shares_nothing_with_the_hosts():
    cfg = localize(host('retinanet/retinanet_r50_fpn_1x_coco.py'))
    cfg.model.backbone.auxiliary.head.dense_head.anchor_generator.strides[0] = 99
    assert cfg.model.bbox_head.anchor_generator.strides[0] == 8


def test_config_without_local_learning_is_returned_as_it_is(config):
    cfg = config('e2e/faster_rcnn_r18_mini-coco.py')
    before = copy.deepcopy(cfg.to_dict())
    assert localize(cfg) is cfg
    assert cfg.to_dict() == before
    assert not is_local(cfg)
    assert find_backbone(cfg) is None


def test_backbone_is_found_at_its_place(faster_rcnn):
    assert is_local(faster_rcnn)
    assert find_backbone(faster_rcnn) == ('model.backbone', faster_rcnn.model.backbone)
    restorer = Config(dict(model=dict(type='BaseEditModel', generator=dict(type='mmlocal.LocalBackbone'))))
    assert find_backbone(restorer) == ('model.generator', restorer.model.generator)


def test_all_that_cannot_be_filled_in_is_told_at_once(faster_rcnn):
    del faster_rcnn.model['roi_head'], faster_rcnn.model['rpn_head']
    faster_rcnn.optim_wrapper.type = 'ApexOptimWrapper'
    with pytest.raises(ConfigError) as error:
        localize(faster_rcnn)
    assert error.value.faults == (
        'model.backbone.auxiliary.head is missing, and none can be derived: the model has no head that any host has '
        '(bbox_head, roi_head, mask_head, panoptic_head, rpn_head, decode_head, head) and no generator. '
        "Give one: head=dict(type='mmlocal.DenseDetHead', dense_head=...)",
        "optim_wrapper.type = 'ApexOptimWrapper' has no block-wise form; OptimWrapper, AmpOptimWrapper have one",
    )


def test_missing_auxiliary_is_told(faster_rcnn):
    del faster_rcnn.model.backbone['auxiliary']
    with pytest.raises(ConfigError, match=r'^model\.backbone\.auxiliary is missing: what trains the blocks'):
        localize(faster_rcnn)


def test_a_network_with_replaced_units_resumes_to_the_bit(config):
    cfg = config('replacement/resnet32_replacement_mini-digits.py')
    completed = localize(cfg)
    assert [hook.type for hook in completed.custom_hooks[-2:]] == ['mmlocal.PlanHook', 'mmlocal.ExactResumeHook']
    assert completed.train_cfg.type == 'mmlocal.ResumableEpochLoop'
    assert completed.optim_wrapper.type == 'OptimWrapper'
    assert 'find_unused_parameters' not in completed
    cfg.model.backbone.turns = 2
    assert localize(cfg).find_unused_parameters
    assert localize(completed)._cfg_dict == completed._cfg_dict


LOCAL, STOCK = dict(type='mmlocal.LocalDataParallel'), dict(type='MMDistributedDataParallel')


@pytest.mark.parametrize(
    ('launcher', 'strategy', 'expected'),
    [
        ('none', None, None),
        ('none', dict(type='SingleDeviceStrategy'), dict(type='SingleDeviceStrategy')),
        ('pytorch', None, dict(type='DDPStrategy', model_wrapper=LOCAL)),
        (
            'pytorch',
            dict(type='DDPStrategy', sync_bn='torch'),
            dict(type='DDPStrategy', sync_bn='torch', model_wrapper=LOCAL),
        ),
        (
            'pytorch',
            dict(type='DDPStrategy', model_wrapper=STOCK),
            dict(type='DDPStrategy', model_wrapper=dict(STOCK, find_unused_parameters=True)),
        ),
        ('pytorch', dict(type='mmlocal.FullyShardedStrategy'), dict(type='mmlocal.FullyShardedStrategy')),
    ],
    ids=str,
)
def test_the_strategy_of_a_flexible_runner_wraps_the_model(config, launcher, strategy, expected):
    cfg = config('man/resnet32_man_mini-digits.py')
    cfg.merge_from_dict(dict(runner_type='FlexibleRunner', launcher=launcher, strategy=strategy))
    completed = localize(cfg)
    assert completed.strategy == expected
    assert 'model_wrapper_cfg' not in completed
    assert localize(completed)._cfg_dict == completed._cfg_dict


def test_units_that_wait_their_turn_under_a_flexible_runner(config):
    cfg = config('replacement/resnet32_replacement_mini-digits.py')
    cfg.merge_from_dict(dict(runner_type='FlexibleRunner', launcher='pytorch'))
    cfg.model.backbone.turns = 2
    wrapper = dict(STOCK, broadcast_buffers=False, find_unused_parameters=True)
    assert localize(cfg).strategy == dict(type='DDPStrategy', model_wrapper=wrapper)
