"""Each fault of a config is one sentence: what was given, where, what is allowed, the nearest name."""

import copy
import re

import pytest
import torch
from mmdet.models import ResNet
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.registry import DefaultScope

from mmlocal.cli import find_config
from mmlocal.config import localize
from mmlocal.registry import MODELS
from mmlocal.validation import validate
from tests.test_validation.faults import AUXILIARY, FAULTS, PARTITION
from tests.test_validation.section_faults import SECTION_FAULTS


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)


def change(cfg, how):
    how(cfg) if callable(how) else cfg.merge_from_dict(copy.deepcopy(how))


@pytest.mark.parametrize('name', FAULTS)
def test_fault_is_told(cfg, name, faults_of, assert_faults):
    how, *sentences = FAULTS[name]
    change(cfg, how)
    assert_faults(faults_of(cfg), sentences)


def put(cfg, place, value):
    *path, last = [int(name) if name.isdigit() else name for name in place.split('.')]
    cfg.setdefault('custom_hooks', [])
    if path == ['custom_hooks']:
        cfg.custom_hooks = [dict(type='NumClassCheckHook') for _ in range(last + 1)]
    inner = cfg
    for name in path:
        inner = inner[name] if isinstance(name, int) else inner.setdefault(name, {})
    inner[last] = copy.deepcopy(value)


def sentence_of(place, value, said):
    as_written = re.sub(r'\.(\d+)', r'[\1]', place)
    if said.startswith('^'):
        holder, after = as_written.rpartition('.')[0], said[1:]
        holder = 'custom_hooks' if 'custom_hooks' in place else holder
        return f'{holder}{after}' if not holder or after.startswith((' ', '[')) else f'{holder}.{after}'
    given = f' = {value!r}' if len(repr(value)) < 40 else ''
    return f'{as_written}{given} {said}'


@pytest.mark.parametrize('place', SECTION_FAULTS)
def test_fault_of_any_section_is_told(cfg, place, faults_of, assert_faults):
    value, said = SECTION_FAULTS[place]
    put(cfg, place, value)
    assert_faults(faults_of(cfg), [sentence_of(place, value, said)])


def test_config_without_a_fault_is_completed(cfg):
    before = copy.deepcopy(cfg.to_dict())
    assert validate(cfg).to_dict() == localize(cfg).to_dict()
    assert cfg.to_dict() == before


def test_completed_config_is_accepted_again(cfg):
    complete = validate(cfg)
    assert validate(complete).to_dict() == complete.to_dict()


def test_five_faults_are_told_at_once(cfg, faults_of, assert_faults):
    cfg.train_dataloader.dataset.data_root = '/nowhere/coco/'
    cfg.model.backbone.frozen_stage = 1
    cfg.model.backbone.auxiliary.bridge.momentum = 2
    cfg.optim_wrapper.update(step_policy='per_block', accumulative_counts=4)
    cfg.load_from = '/nowhere/a.pth'
    expected = [
        "train_dataloader.dataset.data_root = '/nowhere/coco/' does not exist ...",
        'model.backbone.frozen_stage = 1 is not an argument of ...',
        f'{AUXILIARY}.bridge.momentum = 2 is not within 0 and 1 ...',
        'optim_wrapper.accumulative_counts = 4 does not go with ...',
        "load_from = '/nowhere/a.pth' does not exist ...",
    ]
    assert_faults(faults_of(cfg), expected)


def test_what_localize_refuses_is_told_with_the_rest(cfg, faults_of, assert_faults):
    cfg.train_dataloader.dataset.data_root = '/nowhere/coco/'
    del cfg.model.roi_head.bbox_head['num_classes']
    cfg.optim_wrapper.type = 'ApexOptimWrapper'
    cfg.model.backbone.partition.type = 'Stages'
    expected = [
        "train_dataloader.dataset.data_root = '/nowhere/coco/' does not exist ...",
        f'{AUXILIARY}.head is missing, and none can be derived: ...',
        "optim_wrapper.type = 'ApexOptimWrapper' has no block-wise form; ...",
        f"{PARTITION}.type = 'Stages' is no partition of ...",
    ]
    assert_faults(faults_of(cfg), expected)


def test_host_without_local_learning_is_checked_for_the_rest(faults_of, assert_faults):
    cfg = Config.fromfile(find_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'))
    cfg.train_cfg.max_epoch = 1
    cfg.train_dataloader.dataset.data_root = '/nowhere/coco/'
    expected = [
        "train_dataloader.dataset.data_root = '/nowhere/coco/' does not exist ...",
        "val_dataloader.dataset.data_root = 'data/coco/' does not exist ...",
        "train_cfg.max_epoch = 1 is not an argument of EpochBasedTrainLoop. Did you mean 'max_epochs'?",
    ]
    assert_faults(faults_of(cfg), expected)


def test_replaced_units_are_checked(config, faults_of, assert_faults):
    cfg = config('replacement/faster_rcnn_r18_replacement-fusion_mini-coco.py')
    cfg.model.backbone.update(every=None, replace=['layer1.5'])
    unknown = "model.backbone.replace[0] = 'layer1.5' is not a unit of ResNet. Units: stem … layer4.1 (9). ..."
    assert_faults(faults_of(cfg, splits=()), [unknown])
    cfg.model.backbone.update(replaced=['layer1.1'], rank='8', depth=17)
    expected = [
        "model.backbone.rank = '8' is not a whole number",
        "model.backbone.replaced = ['layer1.1'] is not an argument of ReplacementBackbone or ResNet. "
        "Did you mean 'replace'?",
        'model.backbone.depth = 17 is not a depth of ResNet (18, 34, 50, 101, 152). Did you mean 18?',
    ]
    assert_faults(faults_of(cfg, splits=()), expected)


def test_replaced_units_inside_of_blocks_are_checked(config, faults_of, assert_faults):
    cfg = config('replacement/resnet32_replacement-dgl_mini-digits.py')
    validate(cfg, splits=())
    cfg.model.backbone.arch.turns = '2'
    assert_faults(faults_of(cfg, splits=()), ["model.backbone.arch.turns = '2' is not a whole number"])


@MODELS.register_module()
class ReadsNumbers(ResNet):
    """Has no meta form, as networks have none that compute their drop rates with tensors."""

    def __init__(self, refuse=False, **kwargs):
        super().__init__(**kwargs)
        self.rate = torch.ones(1).item()
        if refuse:
            raise RuntimeError('no such network\nand more')


def test_network_without_a_meta_form_is_checked_all_the_same(cfg, faults_of, assert_faults):
    cfg.model.backbone.arch = 'mmlocal.ReadsNumbers'
    validate(cfg)
    cfg.model.backbone.auxiliary.bridge.momentum = 2
    assert_faults(faults_of(cfg), [f'{AUXILIARY}.bridge.momentum = 2 is not within 0 and 1 ...'])


def test_what_a_network_says_is_told_in_one_line(cfg, faults_of):
    cfg.model.backbone.update(arch='mmlocal.ReadsNumbers', refuse=True)
    assert faults_of(cfg) == ['model.backbone cannot be built: RuntimeError: no such network']


@MODELS.register_module()
class FillsMemory(BaseModule):
    """As a number in a config does that is far too large."""

    def __init__(self, **_):
        super().__init__()
        self.held = bytearray(3 * 2**30)


@MODELS.register_module()
class LargeImages(ResNet):
    """Takes no small images, and says so by any exception."""

    def __init__(self, by, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def forward(self, x):
        if x.shape[-1] < 128:
            raise self.by('too small')
        return super().forward(x)


@pytest.mark.parametrize('by', [ValueError, IndexError, AssertionError, KeyError])
def test_network_that_cannot_run_the_image_of_the_probe(cfg, faults_of, by):
    cfg.model.backbone.update(arch='mmlocal.LargeImages', by=by)
    validate(cfg)  # one that it takes is looked for
    cfg.model.backbone.probe_size = 64
    assert faults_of(cfg) == [
        'model.backbone.probe_size: LargeImages takes no empty image, so its units cannot be found: (1, 3, 64, 64): '
        f'{by.__name__}: too small. Give the side of the training images: probe_size=512'
    ]
    cfg.model.backbone.probe_size = 128
    validate(cfg)


def test_the_scope_is_left_as_it_was(cfg):
    with DefaultScope.overwrite_default_scope('mmseg'):
        validate(cfg)
        assert DefaultScope.get_current_instance().scope_name == 'mmseg'
