"""Local detection heads made from mmdet's dense heads."""

import pytest
import torch

from mmlocal.auxiliaries import Auxiliary, DenseDetHead
from mmlocal.auxiliaries.heads.levels import place_on_levels
from mmlocal.blocks import Batch, Place, Shape
from mmlocal.errors import ConfigError
from mmlocal.hosts.derive import derive_head

HOST = dict(model=dict(roi_head=dict(bbox_head=dict(num_classes=7)), neck=dict(out_channels=32)))
FCOS = dict(
    type='mmdet.FCOSHead',
    num_classes=7,
    in_channels=32,
    feat_channels=32,
    stacked_convs=1,
    strides=[8, 16, 32],
    regress_ranges=((-1, 64), (64, 128), (128, 1e8)),
)

pytestmark = pytest.mark.usefixtures('mmdet_scope')


def head(stride, **kwargs):
    config = {**derive_head(HOST), **kwargs}
    config.pop('type')
    return DenseDetHead(in_channels=16, stride=stride, **config)


@pytest.mark.parametrize(
    ('stride', 'num_levels', 'sizes'), [(4, 1, [8]), (8, 1, [8]), (16, 1, [4]), (32, 3, [2, 1, 1])]
)
def test_levels_and_anchors_have_the_stride_of_the_feature(stride, num_levels, sizes):
    local = head(stride, num_levels=num_levels)
    feature = torch.randn(2, 16, 64 // stride, 64 // stride)
    assert [level.shape[-1] for level in local.levels(feature)] == sizes
    strides = local.dense_head.strides
    assert strides == [max(8, stride) * 2**i for i in range(num_levels)]
    assert len(local(feature)[0]) == num_levels


def test_losses_train_every_parameter():
    from mmdet.testing import demo_mm_inputs

    local = head(8)
    samples = demo_mm_inputs(2, image_shapes=[[3, 64, 64]] * 2, num_items=[2, 0], num_classes=7)['data_samples']
    for sample in samples:
        sample.set_metainfo(dict(batch_input_shape=(64, 64), pad_shape=(64, 64)))
    losses = local.loss(torch.randn(2, 16, 8, 8), None, samples)
    assert set(losses) == {'loss_cls', 'loss_bbox', 'loss_centerness'}
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in local.parameters())


def test_initialised_as_the_dense_head_wants_it(make_host):
    """Focal loss needs a prior in the bias of the classes; it comes with `init_weights` of the whole model."""
    auxiliary = dict(type='mmlocal.Auxiliary', head=derive_head(HOST))
    host = make_host(partition=['layer2.1'], auxiliary=auxiliary)
    host.init_weights()
    bias = host.backbone.local_division.auxiliaries[0].head.dense_head.conv_cls.bias
    torch.testing.assert_close(bias.sigmoid(), torch.full_like(bias, 0.01))


def test_ranges_of_a_level_are_kept_and_left_open_at_the_ends():
    placed = place_on_levels(FCOS, [16, 32])
    assert placed['strides'] == [16, 32]
    assert placed['regress_ranges'] == ((-1, 128), (128, 1e8))
    assert place_on_levels(FCOS, [16])['regress_ranges'] == ((-1, 1e8),)
    assert FCOS['strides'] == [8, 16, 32]


def test_anchors_get_the_stride_of_the_feature():
    retina = dict(type='mmdet.RetinaHead', num_classes=7, in_channels=32, stacked_convs=1, feat_channels=32)
    anchors = dict(type='AnchorGenerator', octave_base_scale=4, scales_per_octave=3, ratios=[1.0], strides=[8, 16])
    local = DenseDetHead(in_channels=16, stride=32, num_levels=2, dense_head=dict(retina, anchor_generator=anchors))
    generator = local.dense_head.prior_generator
    assert [stride[0] for stride in generator.strides] == [32, 64]
    assert [anchor[0, 2] - anchor[0, 0] for anchor in generator.base_anchors] == [4 * 32, 4 * 64]


def test_any_dense_head_will_do():
    local = DenseDetHead(in_channels=16, stride=16, dense_head=FCOS)
    assert local.description == 'FCOSHead at stride 16'
    assert len(local(torch.randn(2, 16, 4, 4))[0]) == 1


def test_ranges_that_a_host_leaves_to_the_head_are_placed_too(generated_batch):
    """FCOS's own default is five ranges, for five levels."""
    silent = {key: value for key, value in FCOS.items() if key not in ('strides', 'regress_ranges')}
    local = DenseDetHead(in_channels=16, stride=16, num_levels=2, dense_head=silent)
    assert list(local.dense_head.strides) == [16, 32]
    assert local.dense_head.regress_ranges == ((-1, 256), (256, 1e8))
    samples = generated_batch('mmdet', 64, 7)['data_samples']
    losses = local.loss(torch.randn(2, 16, 4, 4), None, samples)
    assert all(torch.isfinite(value) for value in losses.values())


def test_a_head_without_strides_is_refused():
    with pytest.raises(ConfigError, match=r"dense_head of type 'mmdet.DETRHead' has no strides"):
        place_on_levels(dict(type='mmdet.DETRHead'), [8])


def test_channels_that_do_not_fit_are_refused():
    place = Place('block2', 'layer2.1', Shape(16, 8), ())
    with pytest.raises(ConfigError) as caught:
        Auxiliary(place, head=dict(derive_head(HOST), in_channels=64))
    assert caught.value.faults == (
        "head.in_channels = 64, but what reaches the head of block2 (behind 'layer2.1', no bridge) has 16 channels",
    )


def test_a_missing_head_and_a_bad_bridge_are_reported_together(man_auxiliary):
    from mmlocal.blocks import Later

    later = Later('layer2.0', torch.nn.Conv2d(16, 16, 1), Shape(16, 8))
    place = Place('block1', 'layer1.1', Shape(16, 4), (later,))
    with pytest.raises(ConfigError) as caught:
        Auxiliary(place, bridge=dict(man_auxiliary['bridge'], momentum=2))
    assert [fault.split(' ')[0] for fault in caught.value.faults] == ['head', 'bridge.momentum']


def test_the_weight_scales_losses_and_nothing_else():
    place = Place('block1', 'layer1.1', Shape(16, 4), ())
    one, half = (Auxiliary(place, head=dict(type='mmlocal.SquareHead'), loss_weight=weight) for weight in (1.0, 0.5))
    half.load_state_dict(one.state_dict())
    feature = torch.randn(2, 16, 4, 4)
    a, b = (auxiliary.loss(feature, Batch()) for auxiliary in (one, half))
    assert torch.equal(b['loss_square'], 0.5 * a['loss_square'])
    assert torch.equal(b['acc'], a['acc'])
