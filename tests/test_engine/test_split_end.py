"""The heads of real hosts one after the other: the same gradients, losses and weights, less memory."""

import copy
import importlib

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import set_random_seed
from torch import nn
from torch.optim import SGD

from mmlocal.config import localize, make_local
from mmlocal.engine import BlockwiseAmpOptimWrapper, BlockwiseOptimWrapper
from mmlocal.hosts import name_installed_distributions
from mmlocal.hosts.generated_batches import generated_batch, what_fits
from mmlocal.memory import PeakMeter
from mmlocal.registry import MODELS

# Of each host how many heads are split off.
HOSTS = dict(faster_rcnn=1, mask_rcnn=1, panoptic_fpn=2, deeplabv3=1, two_auxiliaries=2, ocrnet=1, retinanet=0)
FORMS = {
    'e2e': None,
    'one block': dict(partition=[]),
    'four blocks': {},
    'reach 2': dict(reach=2),
    'all blocks': dict(reach=4),
    'reconciled': dict(reconcile=1.0),
}
MASKS = dict(
    mask_roi_extractor=dict(
        type='SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2),
        out_channels=64,
        featmap_strides=[4, 8, 16, 32],
    ),
    mask_head=dict(
        type='FCNMaskHead',
        num_convs=1,
        in_channels=64,
        conv_out_channels=16,
        num_classes=10,
        loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0),
    ),
)
SEMANTIC = dict(
    type='PanopticFPNHead',
    num_things_classes=10,
    num_stuff_classes=3,
    in_channels=64,
    inner_channels=32,
    norm_cfg=dict(type='GN', num_groups=4),
    loss_seg=dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=0.5),
)


class Doubled(nn.Module):
    """A data preprocessor that gives double precision."""

    def __init__(self, stock):
        super().__init__()
        self.stock = stock

    def forward(self, data, training=False):
        data = self.stock(data, training)
        for sample in data['data_samples']:
            if 'gt_instances' in sample:
                sample.gt_instances.bboxes = sample.gt_instances.bboxes.double()
        return dict(data, inputs=data['inputs'].double())


def with_more_heads(model, name):
    if name in ('mask_rcnn', 'panoptic_fpn'):
        model.roi_head.update(MASKS)
        model.train_cfg.rcnn.mask_size = 28
        model.data_preprocessor.update(pad_mask=True, pad_seg=True)
    if name == 'panoptic_fpn':
        model.update(type='PanopticFPN', semantic_head=SEMANTIC)
        model.test_cfg.panoptic = dict()
        model.panoptic_fusion_head = dict(type='HeuristicFusionHead', num_things_classes=10, num_stuff_classes=3)
    if name == 'two_auxiliaries':
        model.auxiliary_head = [model.auxiliary_head, dict(model.auxiliary_head, in_index=1, in_channels=16)]
    if name == 'ocrnet':
        first = dict(model.auxiliary_head, dropout_ratio=0.0)
        second = dict(first, type='OCRHead', in_channels=64, in_index=3, channels=16, ocr_channels=8)
        for key in ('num_convs', 'concat_input'):
            second.pop(key)
        model.update(type='CascadeEncoderDecoder', num_stages=2, decode_head=[first, second])


@pytest.fixture
def load(config):
    """A host's config with a thin backbone, end to end or local."""
    name_installed_distributions()

    def load(name, form='e2e'):
        if name in ('deeplabv3', 'two_auxiliaries', 'ocrnet'):
            cfg = config('e2e/deeplabv3_r18_mini-cityscapes.py')
            cfg.model.backbone.base_channels = 8
            cfg.model.decode_head.in_channels, cfg.model.auxiliary_head.in_channels = 64, 32
        else:
            cfg = config(f'e2e/{"retinanet" if name == "retinanet" else "faster_rcnn"}_r18_mini-coco.py')
            cfg.model.backbone.base_channels = 8
            cfg.model.neck.in_channels = [8, 16, 32, 64]
        with_more_heads(cfg.model, name)
        if FORMS[form] is not None:
            cfg = make_local(cfg, 'greedy', 4)
            cfg.model.backbone.update(FORMS[form])
            cfg = localize(cfg)
        return cfg

    return load


@pytest.fixture
def single_nms(monkeypatch):
    """mmcv's suppression knows no double precision; it carries no gradient."""
    extension = importlib.import_module('mmcv.ops.nms').ext_module
    stock = extension.nms
    monkeypatch.setattr(extension, 'nms', lambda boxes, scores, **how: stock(boxes.float(), scores.float(), **how))


@pytest.fixture
def make_model(load, single_nms):
    """The model of `load`, in double precision, and a batch."""

    def make(name, form='e2e'):
        cfg = load(name, form)
        set_random_seed(0)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            model = MODELS.build(copy.deepcopy(cfg.model)).train()
            model.init_weights()
        if cfg.default_scope == 'mmseg':
            model.data_preprocessor.size = (64, 64)
        model.data_preprocessor = Doubled(model.data_preprocessor)
        batch = generated_batch(cfg.default_scope, (64, 64), 2, what_fits(cfg.model))
        if name == 'panoptic_fpn':
            from mmdet.testing import demo_mm_inputs

            batch = demo_mm_inputs(
                2, [[3, 64, 64]] * 2, num_items=[4] * 2, num_classes=10, with_mask=True, with_semantic=True
            )
        return model.double(), batch

    return make


class Trained:
    """Steps of a copy of a model: logs, gradients, and how many local losses were propagated."""

    def __init__(self, model, batch, split, steps=1, lr=0.0, wrapper=BlockwiseOptimWrapper, **kwargs):
        self.model = model = copy.deepcopy(model)
        kwargs = {'step_policy': 'joint', 'optimizer': SGD(model.parameters(), lr=lr), **kwargs}
        optim = wrapper(split_end=split, **kwargs)
        if not lr:
            optim.zero_grad = lambda **_: None
        self.calls = 0
        propagate = optim._backward_local

        def counted(loss):
            self.calls += 1
            propagate(loss)

        optim._backward_local = counted
        set_random_seed(1)
        scope = 'mmseg' if hasattr(model, 'decode_head') else 'mmdet'
        with DefaultScope.overwrite_default_scope(scope):
            self.logs = [model.train_step(copy.deepcopy(batch), optim) for _ in range(steps)]
        self.gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        self.optim = optim


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-12 * scale, msg=name)


def assert_trains_alike(model, batch, heads, **kwargs):
    """Split and unsplit; `heads` is how many are split off in a step."""
    split, whole = (Trained(model, batch, split, **kwargs) for split in (True, False))
    assert split.calls - whole.calls == heads * kwargs.get('steps', 1)
    for logs, expected in zip(split.logs, whole.logs, strict=True):
        assert list(logs) == list(expected)
        assert_same(logs, expected)
    assert_same(split.gradients, whole.gradients)
    assert_same(split.model.state_dict(), whole.model.state_dict())
    assert split.optim.inner_count == whole.optim.inner_count == kwargs.get('steps', 1)


@pytest.mark.parametrize('form', ['e2e', 'four blocks'])
@pytest.mark.parametrize('name', HOSTS)
def test_gradients_and_logs_are_those_of_one_backward(make_model, name, form):
    assert_trains_alike(*make_model(name, form), HOSTS[name])


@pytest.mark.parametrize('form', ['one block', 'reach 2', 'all blocks'])
@pytest.mark.parametrize('name', ['faster_rcnn', 'deeplabv3'])
def test_gradients_flow_on_into_the_blocks_within_reach(make_model, name, form):
    assert_trains_alike(*make_model(name, form), 1)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(accumulative_counts=2),
        dict(clip_grad=dict(max_norm=0.1)),
        dict(step_policy='auto'),
    ],
)
@pytest.mark.parametrize('name', ['faster_rcnn', 'deeplabv3'])
def test_weights_are_those_of_one_backward(make_model, name, kwargs):
    assert_trains_alike(*make_model(name, 'four blocks'), 1, steps=4, lr=1e-3, **kwargs)


@pytest.mark.parametrize('form', ['e2e', 'four blocks'])
def test_losses_are_scaled_as_the_models_own(make_model, form):
    """Autocast leaves double precision alone, so that the gradients are still to be the same."""

    def wrapper(**kwargs):
        return BlockwiseAmpOptimWrapper(**kwargs, loss_scaler=torch.amp.GradScaler('cpu', init_scale=1024.0))

    assert_trains_alike(*make_model('faster_rcnn', form), 1, wrapper=wrapper)


def test_a_penalty_on_the_own_gradient_needs_one_backward(make_model):
    assert_trains_alike(*make_model('deeplabv3', 'reconciled'), 0)


def test_a_head_that_hands_on_its_graph_is_not_split_off(make_model):
    model, batch = make_model('faster_rcnn')
    stock = type(model.rpn_head).loss_and_predict

    class Handing(type(model.rpn_head)):
        def loss_and_predict(self, x, *args, **kwargs):
            losses, proposals = stock(self, x, *args, **kwargs)
            for proposal in proposals:
                proposal.scores = proposal.scores + x[0].mean() * losses['loss_rpn_cls'][0]
            return losses, proposals

    model.rpn_head.__class__ = Handing
    assert_trains_alike(model, batch, 0)


def test_a_model_that_weighs_its_losses_is_not_split(make_model):
    model, batch = make_model('faster_rcnn')

    class Weighing(type(model)):
        def loss(self, *args):
            return {
                name: [2 * one for one in value] if isinstance(value, list) else 2 * value
                for name, value in super().loss(*args).items()
            }

    model.__class__ = Weighing
    assert_trains_alike(model, batch, 0)


def test_a_frozen_last_head_leaves_a_loss_to_propagate(make_model):
    model, batch = make_model('deeplabv3', 'four blocks')
    model.auxiliary_head.requires_grad_(False)
    assert_trains_alike(model, batch, 1)


def test_a_frozen_backbone_has_no_part_in_it(make_model):
    model, batch = make_model('deeplabv3')
    model.backbone.requires_grad_(False)
    assert_trains_alike(model, batch, 1)


def test_a_wrapped_model_is_not_split(make_model):
    """The reducer of DDP waits for one backward."""
    model, _ = make_model('faster_rcnn')
    optim = BlockwiseOptimWrapper(SGD(model.parameters(), lr=0.0))
    with optim.optim_context(nn.DataParallel(model)):
        assert 'loss_and_predict' not in vars(model.rpn_head)
    with optim.optim_context(model):
        assert 'loss_and_predict' in vars(model.rpn_head)


def test_nothing_remains_of_a_step(make_model):
    model, batch = make_model('faster_rcnn')
    before = model.rpn_head.loss_and_predict = model.rpn_head.loss_and_predict
    optim = BlockwiseOptimWrapper(SGD(model.parameters(), lr=0.0))
    model.roi_head.loss = None
    for fails in (True, False):
        if fails:
            with pytest.raises(TypeError, match='not callable'):
                model.train_step(copy.deepcopy(batch), optim)
        else:
            del model.roi_head.loss
            model.train_step(copy.deepcopy(batch), optim)
        assert vars(model.rpn_head)['loss_and_predict'] is before
        assert not model.neck._forward_hooks
        assert optim._end is None


@pytest.mark.parametrize(('name', 'size', 'share'), [('faster_rcnn', 256, 0.9), ('two_auxiliaries', 128, 0.8)])
def test_the_end_takes_less_memory(load, name, size, share):
    """Nothing but heads and neck has a graph: the backbone is frozen."""
    cfg = load(name)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(copy.deepcopy(cfg.model)).train()
    model.backbone.requires_grad_(False)
    if cfg.default_scope == 'mmseg':
        model.data_preprocessor.size = (size, size)
    batch = generated_batch(cfg.default_scope, (size, size), 2, what_fits(cfg.model))
    peaks = {}
    for split in (True, False):
        set_random_seed(0)
        optim = BlockwiseOptimWrapper(SGD(model.parameters(), lr=0.0), split_end=split)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            model.train_step(copy.deepcopy(batch), optim)
            again = copy.deepcopy(batch)
            with PeakMeter() as meter:
                model.train_step(again, optim)
        peaks[split] = meter.peak_bytes
    assert peaks[True] < share * peaks[False]
