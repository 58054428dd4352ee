"""`--local`: any host's config, trained by a method."""

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmlocal.cli import find_config
from mmlocal.config import localize, make_local, method_names
from mmlocal.config.make_local import leaf_text
from mmlocal.errors import ConfigError
from mmlocal.hosts import name_installed_distributions

# One config a host, and what reaches the head.
ZOO = {
    'mmdet::yolox/yolox_s_8xb8-300e_coco.py': 'mmlocal.DenseDetHead',
    'mmyolo::yolov8/yolov8_s_syncbn_fast_8xb16-500e_coco.py': 'mmlocal.DenseDetHead',
    'mmpretrain::deit/deit-small_4xb256_in1k.py': 'mmlocal.ClsHead',
    'mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py': 'mmlocal.RestorationHead',
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py': 'mmlocal.DenseDetHead',
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': 'mmlocal.DenseDetHead',
    'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py': 'mmlocal.SegHead',
    'mmpretrain::resnet/resnet50_8xb32_in1k.py': 'mmlocal.ClsHead',
}


def unscoped(config):
    """Without the scopes that mmengine notes in what is inherited from a host."""
    if isinstance(config, dict):
        return {key: unscoped(value) for key, value in config.items() if key != '_scope_'}
    return [unscoped(one) for one in config] if isinstance(config, list | tuple) else config


def auxiliaries(config):
    return [config.independent, config.cascade] if 'cascade' in config else [config]


def host(name):
    return Config.fromfile(find_config(name))


@pytest.mark.parametrize('name', ZOO)
@pytest.mark.parametrize('method', method_names())
def test_a_config_of_each_host(name, method, tmp_path):
    cfg = host(name)
    before = cfg.to_dict()
    local = make_local(cfg, method, 3)
    assert cfg.to_dict() == before
    slot = 'generator' if 'generator' in local.model else 'backbone'
    if method == 'predsim' and 'mmpretrain' not in name:
        with pytest.raises(ConfigError, match=r"terms\.similarity\.type = 'mmlocal.Similarity' needs a classifier"):
            localize(local)
        return
    heads = {auxiliary.head.type for auxiliary in auxiliaries(localize(local).model[slot].auxiliary)}
    of_method = {'mmlocal.DGLHead'} if method == 'dgl' and 'mmpretrain' in name else {ZOO[name]}
    assert heads == of_method
    assert local.model[slot].partition == dict(type='Even', num_blocks=3)
    # The lines that keep it give the same config.
    name_installed_distributions()
    leaf = tmp_path / 'man' / 'leaf.py'
    leaf.parent.mkdir()
    leaf.write_text(leaf_text(name, local, method))
    assert unscoped(Config.fromfile(leaf).model.to_dict()) == unscoped(local.model.to_dict())


@pytest.mark.integration
@pytest.mark.parametrize('name', [name for name in ZOO if 'rcnn' not in name and '/resnet' not in name])
def test_the_local_version_of_a_config_trains(name, build_lively, make_loop):
    cfg, model, optim, make_batch = build_lively(make_local(host(name), 'man', 4))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        logs = make_loop(model, optim).step(**make_batch(24 if cfg.default_scope == 'mmagic' else 128))
    assert logs['loss'].isfinite()
    network = model.backbone if hasattr(model, 'backbone') else model.generator
    assert len(network.local_division.blocks) == 4


def fault(cfg, method='man'):
    with pytest.raises(ConfigError) as caught:
        make_local(cfg, method, 4)
    (sentence,) = caught.value.faults
    return sentence


def test_an_unknown_method():
    sentence = fault(host('mmpretrain::resnet/resnet50_8xb32_in1k.py'), 'mann')
    assert sentence == f"--local 'mann' is not one of {', '.join(method_names())}. Did you mean 'man'?"


def test_several_networks():
    cfg = Config(
        dict(model=dict(type='Pair', backbone=dict(type='ResNet'), teacher=dict(backbone=dict(type='ResNet'))))
    )
    assert 'cannot choose between several networks: model.backbone, model.teacher.backbone' in fault(cfg)


def test_no_network():
    assert 'and the config has neither' in fault(Config(dict(model=dict(type='Nothing'))))
    inside = Config(dict(model=dict(type='Wrapper', detector=dict(backbone=dict(type='ResNet')))))
    assert 'and its only one is model.detector.backbone' in fault(inside)


def test_a_local_config_is_not_made_local_again():
    cfg = make_local(host('mmpretrain::resnet/resnet50_8xb32_in1k.py'), 'man', 2)
    assert fault(cfg) == '--local: model.backbone is local already'
