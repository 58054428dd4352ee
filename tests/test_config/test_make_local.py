"""`--local`: any host's config, trained by a method."""

import pytest
from mmengine.config import Config

from mmlocal.compat import name_installed_distributions
from mmlocal.config import localize, make_local, method_names
from mmlocal.config.cli import find_config
from mmlocal.config.make_local import PRESETS, leaf_text
from mmlocal.errors import ConfigError

ZOO = {
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


def host(name):
    return Config.fromfile(find_config(name))


@pytest.mark.parametrize('name', ZOO)
@pytest.mark.parametrize('method', method_names())
def test_a_config_of_each_host(name, method, tmp_path):
    cfg = host(name)
    before = cfg.to_dict()
    local = make_local(cfg, method, 3)
    assert cfg.to_dict() == before
    assert localize(local).model.backbone.auxiliary.head.type == ZOO[name]
    assert local.model.backbone.partition == dict(type='Even', num_blocks=3)
    # The lines that keep it give the same config.
    name_installed_distributions()
    leaf = tmp_path / 'man' / 'leaf.py'
    leaf.parent.mkdir()
    leaf.write_text(leaf_text(name, local, method).replace("'../_base_/local", f"'{PRESETS}"))
    assert unscoped(Config.fromfile(leaf).model.to_dict()) == unscoped(local.model.to_dict())


def fault(cfg, method='man'):
    with pytest.raises(ConfigError) as caught:
        make_local(cfg, method, 4)
    (sentence,) = caught.value.faults
    return sentence


def test_an_unknown_method():
    sentence = fault(host('mmpretrain::resnet/resnet50_8xb32_in1k.py'), 'mann')
    assert sentence == "--local 'mann' is not one of man, man_plus_plus. Did you mean 'man'?"


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
