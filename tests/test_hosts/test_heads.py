"""Local heads of every kind of host, derived from the zoo's configs and trained for a step on a thin ResNet."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm

from mmlocal.blocks import Batch
from mmlocal.cli import find_config
from mmlocal.config import localize, make_local
from mmlocal.errors import ConfigError
from mmlocal.hosts import HOSTS, host_of, import_hosts
from mmlocal.hosts.derive import derive_head
from mmlocal.hosts.samples import boxes_by_image, of_one_class
from mmlocal.hosts.trial import in_host, unreached
from mmlocal.registry import MODELS

OWN, FCOS = 'own', 'mmdet.FCOSHead'
DETECTORS = {
    'mmdet::reppoints/reppoints-moment_r50_fpn_1x_coco.py': OWN,
    'mmdet::vfnet/vfnet_r50_fpn_1x_coco.py': OWN,
    'mmdet::guided_anchoring/ga-retinanet_r50_fpn_1x_coco.py': OWN,
    'mmdet::sabl/sabl-retinanet_r50_fpn_1x_coco.py': OWN,
    'mmdet::yolof/yolof_r50-c5_8xb8-1x_coco.py': OWN,
    'mmdet::yolo/yolov3_d53_8xb8-320-273e_coco.py': OWN,
    'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py': OWN,
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py': OWN,
    'mmdet::tood/tood_r50_fpn_1x_coco.py': OWN,
    'mmdet::efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py': OWN,
    'mmyolo::yolov5/yolov5_s-v61_syncbn_8xb16-300e_coco.py': OWN,
    'mmyolo::yolov6/yolov6_s_syncbn_fast_8xb32-400e_coco.py': OWN,
    'mmyolo::yolov7/yolov7_w-p6_syncbn_fast_8x16b-300e_coco.py': OWN,
    'mmyolo::yolox/yolox_s_fast_8xb8-300e_coco.py': OWN,
    'mmyolo::rtmdet/rtmdet_s_syncbn_fast_8xb32-300e_coco.py': OWN,
    'mmyolo::ppyoloe/ppyoloe_s_fast_8xb32-300e_coco.py': OWN,
    # Losses that need more than boxes and one level, or leave weights alone.
    'mmdet::ssd/ssd300_coco.py': FCOS,
    'mmdet::condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py': FCOS,
    'mmdet::yolact/yolact_r50_1xb8-55e_coco.py': FCOS,
    'mmdet::detr/detr_r50_8xb2-150e_coco.py': FCOS,
    'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py': FCOS,
    'mmdet::sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py': FCOS,
    'mmdet::libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py': FCOS,
    'mmdet::htc/htc_r50_fpn_1x_coco.py': FCOS,
    'mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco.py': FCOS,
    'mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py': FCOS,
    'mmdet::solo/solo_r50_fpn_1x_coco.py': FCOS,
    'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py': FCOS,
    'mmdet::rpn/rpn_r50_fpn_1x_coco.py': FCOS,
    'mmyolo::yolov5/ins_seg/yolov5_ins_n-v61_syncbn_fast_8xb16-300e_coco_instance.py': FCOS,
}
CLASSES = {'mmdet::rpn': 1, 'mmdet::mask2former': 80, 'mmdet::htc': 80, 'mmdet::centernet': 80}
OTHERS = {
    'mmseg::knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py': ('mmlocal.SegHead', 150),
    'mmseg::pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py': ('mmlocal.SegHead', 19),
    'mmpretrain::vgg/vgg11_8xb32_in1k.py': ('mmlocal.ClsHead', 1000),
    'mmpretrain::csra/resnet101-csra_1xb16_voc07-448px.py': ('mmlocal.ClsHead', 20),
    'mmagic::nafnet/nafnet_c64eb2248mb12db2222_8xb8-lr1e-3-400k_sidd.py': ('mmlocal.RestorationHead', 1),
}
SIZE = 128


def loaded(name):
    cfg = Config.fromfile(find_config(name))
    import_hosts(cfg)
    return cfg


def batch_for(cfg):
    """Images and annotations as they come out of the data preprocessor."""
    host = host_of(cfg)
    batch = HOSTS[cfg.default_scope].generated_batch((SIZE, SIZE), 2, host.fits(cfg.model))
    batch = host.fit_batch(batch, cfg.model)
    samples = batch['data_samples']
    if cfg.default_scope == 'mmdet':
        for sample in samples:
            sample.set_metainfo(dict(batch_input_shape=(SIZE, SIZE), pad_shape=(SIZE, SIZE)))
    if cfg.default_scope == 'mmagic':
        samples = type(samples[0]).stack(samples)
        samples.gt_img = samples.gt_img / 255
    return torch.stack(list(batch['inputs'])).float() / 255, samples


def train_a_step(cfg, head, make_host, make_loop):
    """Losses of both blocks by their names, and the parameters that none of them reaches."""
    inputs, samples = batch_for(cfg)
    with in_host(cfg):
        auxiliary = Config(dict(type='mmlocal.Auxiliary', head=head))._cfg_dict
        host = make_host(partition=['layer2.1', 'layer3.1'], auxiliary=auxiliary, dtype=torch.float32)
        host = revert_sync_batchnorm(host)
        loop = make_loop(host)
        losses, dead = [], []
        for one, feature in zip(host.backbone.local_division.auxiliaries, host.backbone(inputs)[1:], strict=False):
            found = one.loss(feature.detach(), Batch(inputs=inputs, data_samples=samples))
            dead += unreached(found, one)
            losses.append(found)
        assert loop.step(inputs, samples)['loss'].isfinite()
    return losses, dead


@pytest.mark.parametrize('name', DETECTORS)
def test_a_detector_gets_its_own_dense_head_or_that_of_fcos(name, make_host, make_loop):
    cfg = loaded(name)
    head = derive_head(cfg)
    expected = cfg.model.bbox_head.type if DETECTORS[name] == OWN else FCOS
    assert head['dense_head']['type'] == expected
    losses, dead = train_a_step(cfg, head, make_host, make_loop)
    assert not dead
    for found in losses:
        terms = [term for value in found.values() for term in (value if isinstance(value, list) else [value])]
        assert all(term.isfinite().all() for term in terms)


@pytest.mark.parametrize(('name', 'classes'), CLASSES.items())
def test_fcos_has_the_classes_of_the_objects(name, classes):
    cfg = loaded(next(one for one in DETECTORS if one.startswith(name)))
    assert derive_head(cfg)['dense_head']['num_classes'] == classes


@pytest.mark.parametrize('name', OTHERS)
def test_other_hosts(name, make_host, make_loop):
    cfg = loaded(name)
    head = derive_head(cfg)
    kind, fits = OTHERS[name]
    assert head['type'] == kind
    assert host_of(cfg).fits(cfg.model) == fits
    losses, dead = train_a_step(cfg, head, make_host, make_loop)
    assert not dead
    assert all(value.isfinite().all() for found in losses for value in found.values())


def test_anchors_of_the_local_head_are_those_of_the_level_that_is_nearest():
    """YOLOv5's sides and weights of the level of stride 16, and of no other."""
    cfg = loaded('mmyolo::yolov5/yolov5_s-v61_syncbn_8xb16-300e_coco.py')
    with in_host(cfg):
        local = MODELS.build(Config(dict(head=derive_head(cfg))).head, default_args=dict(in_channels=8, stride=16.0))
    generator = local.dense_head.prior_generator
    assert generator.base_sizes == [[(30, 61), (62, 45), (59, 119)]]
    assert [stride[0] for stride in generator.strides] == [16]
    assert local.dense_head.obj_level_weights == [1.0]
    # The width of its narrowest level, a half of 256 by `widen_factor`.
    assert local.lateral.out_channels == 128


def losses_of(decode):
    """What becomes of a decode head's losses."""
    cfg = Config(dict(default_scope='mmseg', model=dict(type='EncoderDecoder', decode_head=decode)))
    return derive_head(cfg)['decode_head'].get('loss_decode')


def test_losses_of_pixels_are_kept_and_others_are_left_to_the_decode_head():
    entropy, dice = dict(type='CrossEntropyLoss', loss_name='loss_ce'), dict(type='DiceLoss', loss_name='loss_dice')
    border = dict(type='BoundaryLoss')  # of the borders between classes, which another branch finds
    decode = dict(type='FCNHead', num_classes=4, channels=8)
    assert losses_of(dict(decode, loss_decode=dice)) == dice
    assert losses_of(dict(decode, loss_decode=[entropy, border, dice, entropy])) == [entropy, dice]
    assert losses_of(dict(decode, loss_decode=border)) is None


REFUSED = {
    'mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py': 'MAE learns from images without labels',
    'mmpretrain::simclr/simclr_resnet50_16xb256-coslr-200e_in1k.py': 'SimCLR learns from images without labels',
    'mmseg::vpd/vpd_sd_4xb8-25k_nyu-480x480.py': 'model.decode_head has no num_classes',
    'mmdet::mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2019.py': 'the model has no head that any host has',
    'mmagic::edvr/edvrm_8xb4-600k_reds.py': 'what it makes of one image is no image',
    'mmagic::dcgan/dcgan_1xb128-5epoches_lsun-bedroom-64x64.py': 'the model has no pixel_loss',
}


@pytest.mark.parametrize(('name', 'why'), REFUSED.items())
def test_why_no_head_can_be_derived(name, why):
    with pytest.raises(ConfigError) as caught:
        derive_head(loaded(name))
    (sentence,) = caught.value.faults
    assert sentence.startswith(' is missing, and none can be derived: ')
    assert why in sentence
    assert 'Give one: head=dict(type=' in sentence


def test_a_model_with_a_step_of_its_own_is_refused():
    with pytest.raises(ConfigError, match='none would do: SRGAN trains its generator in a train_step of its own'):
        derive_head(loaded('mmagic::srgan_resnet/srgan_x4c64b16_1xb16-1000k_div2k.py'))


def test_a_term_that_compares_labels_needs_one_an_image():
    cfg = make_local(loaded('mmpretrain::csra/resnet101-csra_1xb16_voc07-448px.py'), 'predsim', 2)
    with pytest.raises(ConfigError, match='compares labels, and an image has several: CSRAClsHead'):
        localize(cfg)


def test_classes_that_the_network_holds_reach_the_head_of_a_local_config():
    cfg = make_local(loaded('mmpretrain::vgg/vgg11_8xb32_in1k.py'), 'greedy', 2)
    cfg.model.backbone.num_classes = 7
    assert localize(cfg).model.backbone.auxiliary.head.cls_head.num_classes == 7


def test_boxes_of_a_batch_image_by_image():
    rows = torch.tensor([[1, 3, 0, 0, 4, 4], [0, 2, 1, 1, 5, 5], [1, 0, 2, 2, 6, 6]]).float()
    samples = boxes_by_image(dict(bboxes_labels=rows, img_metas=[dict(img_shape=(8, 8))] * 2))
    assert [sample.gt_instances.labels.tolist() for sample in samples] == [[2], [3, 0]]
    assert samples[0].gt_instances.bboxes.tolist() == [[1, 1, 5, 5]]
    assert samples[1].img_shape == (8, 8)
    assert [one.gt_instances.labels.tolist() for one in of_one_class(samples)] == [[0], [0, 0]]
    assert samples[1].gt_instances.labels.tolist() == [3, 0]
    with pytest.raises(ConfigError, match='boxes of 5 numbers'):
        boxes_by_image(dict(bboxes_labels=torch.zeros(1, 7), img_metas=[{}]))
