"""Whole models of hosts whose local head is of another kind than their own, trained for a step by MAN."""

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmlocal.cli import find_config
from mmlocal.config import make_local

pytestmark = pytest.mark.integration

CE_DICE = [
    dict(type='CrossEntropyLoss', loss_name='loss_ce', loss_weight=1.0),
    dict(type='DiceLoss', loss_name='loss_dice', loss_weight=3.0),
]
VIT = dict(img_size=(64, 64), num_layers=4, out_indices=(3,), embed_dims=32, num_heads=2, drop_path_rate=0.0)
NAFNET = dict(mid_channels=8, enc_blk_nums=[1, 1], middle_blk_num=1, dec_blk_nums=[1, 1])


def zoo(name, **changes):
    cfg = Config.fromfile(find_config(name))
    cfg.merge_from_dict(changes)
    return cfg


def with_dice(config):
    cfg = config('e2e/deeplabv3_r18_mini-cityscapes.py')
    cfg.model.decode_head.loss_decode = CE_DICE
    return cfg


MODELS = {
    'point sets': (lambda config: zoo('mmdet::reppoints/reppoints-moment_r50_fpn_1x_coco.py'), 'block1.loss_pts_init'),
    'queries': (lambda config: zoo('mmdet::detr/detr_r18_8xb2-500e_coco.py'), 'block1.loss_centerness'),
    'proposals': (lambda config: zoo('mmdet::rpn/rpn_r50_fpn_1x_coco.py'), 'block1.loss_centerness'),
    'YOLOX': (lambda config: zoo('mmdet::yolox/yolox_tiny_8xb8-300e_coco.py'), 'block1.loss_obj'),
    'YOLOv5': (lambda config: zoo('mmyolo::yolov5/yolov5_n-v61_syncbn_fast_8xb16-300e_coco.py'), 'block1.loss_obj'),
    'two losses': (with_dice, 'block1.loss_dice'),
    'tokens': (
        lambda config: zoo(
            'mmseg::segmenter/segmenter_vit-s_fcn_8xb1-160k_ade20k-512x512.py',
            model=dict(backbone=VIT, decode_head=dict(in_channels=32, channels=32)),
        ),
        'block1.loss_ce',
    ),
}


def train_a_step(cfg, build_lively, make_loop):
    cfg, model, optim, make_batch = build_lively(cfg)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        logs = make_loop(model, optim).step(**make_batch(32 if cfg.default_scope == 'mmagic' else 64))
    assert logs['loss'].isfinite()
    return model, optim.message_hub.log_scalars


@pytest.mark.parametrize('kind', MODELS)
def test_a_model_trains(kind, config, build_lively, make_loop):
    make, term = MODELS[kind]
    model, logged = train_a_step(make_local(make(config), 'man', 3), build_lively, make_loop)
    assert f'train/{term}' in logged
    assert len(model.backbone.local_division.blocks) == 3


def test_tokens_are_laid_out_as_the_patches_are(config, build_lively):
    make, _ = MODELS['tokens']
    _, model, *_ = build_lively(make_local(make(config), 'greedy', 3))
    (auxiliary, _) = model.backbone.local_division.auxiliaries
    tokens = 1 + 4 * 2  # a class token, and patches of 16 pixels
    feature = auxiliary.head.decode_head.conv_seg.weight.new_zeros(1, tokens, 32)
    feature[0, 1 + 2 * 2 + 1, 7] = 1.0  # third row, second column
    read = auxiliary.reader(feature, (), feature.new_zeros(1, 3, 64, 32))
    assert read.shape == (1, 32, 4, 2)
    assert read[0, 7].argmax() == 2 * 2 + 1


def test_restoration_of_the_same_size(build_lively, make_loop):
    cfg = zoo('mmagic::nafnet/nafnet_c64eb2248mb12db2222_8xb8-lr1e-3-400k_sidd.py', model=dict(generator=NAFNET))
    cfg = make_local(cfg, 'greedy', 2)
    units = ['encoders.0.0', 'encoders.1.0', 'middle_blks.0', 'decoders.0.0', 'decoders.1.0']
    cfg.model.generator.update(units=units, partition=['encoders.1.0'])
    model, logged = train_a_step(cfg, build_lively, make_loop)
    (auxiliary,) = model.generator.local_division.auxiliaries
    assert auxiliary.head.description.endswith('pixel shuffle to x2')  # its output is as large as its input
    assert 'train/block1.loss_pixel' in logged
