"""Classification and segmentation: local heads derived from real hosts, trained on generated data."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmlocal.cli import find_config
from mmlocal.config import localize
from mmlocal.registry import MODELS

MAN = dict(type='mmlocal.Auxiliary', bridge=dict(type='mmlocal.MomentumBridge', scaling=True))


HOSTS = {
    'classification': (
        'mmpretrain::resnet/resnet18_8xb16_cifar10.py',
        dict(type='mmlocal.ClsHead', cls_head=dict(type='mmpretrain.LinearClsHead', num_classes=10)),
        (32, 10),
    ),
    'segmentation': (
        'mmseg::deeplabv3/deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024.py',
        dict(type='mmlocal.SegHead', decode_head=dict(type='mmseg.FCNHead', num_classes=19, channels=256)),
        (64, 19),
    ),
}


def config_of(host):
    """A zoo config made thin, with batch-norm that runs on a CPU and nothing to download."""
    cfg = Config.fromfile(find_config(HOSTS[host][0]))
    cfg.model.pop('pretrained', None)
    thin = dict(base_channels=8, norm_cfg=dict(type='BN'), init_cfg=None)
    cfg.model.backbone.update(thin)
    for name in ('decode_head', 'auxiliary_head'):
        if name in cfg.model:
            width = 64 * 4 if name == 'decode_head' else 32 * 4
            cfg.model[name].update(norm_cfg=dict(type='BN'), in_channels=width, channels=16)
    if 'head' in cfg.model:
        cfg.model.head.in_channels = 64
    if host == 'segmentation':
        cfg.model.data_preprocessor.size = (64, 64)
    return cfg


def local_config_of(host):
    cfg = config_of(host)
    local = dict(arch=cfg.model.backbone.type, partition=dict(type='Stage'), auxiliary=copy.deepcopy(MAN))
    cfg.model.backbone.update(local, type='mmlocal.LocalBackbone')
    return localize(cfg)


def build(cfg):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(copy.deepcopy(cfg.model)).train()
        model.init_weights()
    return model


def contains(whole, part):
    return all(contains(whole[k], v) if isinstance(v, dict) else whole[k] == v for k, v in part.items())


@pytest.mark.parametrize('host', HOSTS)
def test_head_is_derived_from_the_host(host):
    head = local_config_of(host).model.backbone.auxiliary.head
    assert contains(head, {k: v for k, v in HOSTS[host][1].items() if host == 'classification' or k == 'type'})
    assert head.get('decode_head', {}).get('num_classes', 19) == 19


@pytest.mark.integration
@pytest.mark.parametrize('host', HOSTS)
def test_every_block_learns_the_task_and_the_result_is_stock(host, generated_batch, make_loop):
    cfg = local_config_of(host)
    model = build(cfg)
    loop = make_loop(model)
    before = copy.deepcopy(model.state_dict())
    batch = generated_batch(cfg.default_scope, *HOSTS[host][2])
    losses = []
    for _ in range(6):
        model.train_step(copy.deepcopy(batch), loop.optim_wrapper)
        hub = loop.optim_wrapper.message_hub.log_scalars
        names = [name for name in hub if name.startswith('train/block1.') and 'loss' in name]
        losses.append(sum(hub[name].current() for name in names))
    assert losses[-1] < losses[0]
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        stock = build(config_of(host))
    published = {key: value for key, value in model.state_dict().items() if '.local_auxiliaries.' not in key}
    stock.load_state_dict(published, strict=True)
    for block in model.backbone.local_division.blocks:
        names = [f'backbone.{name}.' for unit in block for name in unit.modules]
        moved = [key for key in published if key.startswith(tuple(names)) and key.endswith('conv1.weight')]
        assert any(not torch.equal(published[key], before[key]) for key in moved)
