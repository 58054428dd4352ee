"""Learning rates and decays of local models beside those of stock, parameter by parameter, for the hosts' own rules."""

import copy
import functools
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope

from mmlocal.auxiliaries import CopyBridge
from mmlocal.cli import find_config
from mmlocal.config import localize, make_local
from mmlocal.engine import BlockwiseOptimWrapper, PlanHook
from mmlocal.errors import ConfigError
from mmlocal.hosts import import_hosts, name_installed_distributions

# Each kind of rule in the hosts' configs that --local takes, for each network, in a small config.
ZOO = {
    'mmpretrain::mae/benchmarks/vit-base-p16_8xb128-coslr-100e_in1k.py': 'layers, by mmpretrain',
    'mmpretrain::mae/benchmarks/vit-large-p16_8xb128-coslr-50e_in1k.py': 'layers, by mmpretrain: another rate',
    'mmpretrain::simmim/benchmarks/swin-base-w7_8xb256-coslr-100e_in1k.py': 'layers, by mmpretrain',
    'mmpretrain::spark/benchmarks/resnet50_8xb256-coslr-300e_in1k.py': 'layers, by mmpretrain',
    'mmpretrain::clip/vit-base-p32_pt-64xb64_in1k.py': 'names',
    'mmpretrain::deit3/deit3-small-p16_64xb64_in1k.py': 'names',
    'mmpretrain::eva02/eva02-tiny-p14_in1k.py': 'names',
    'mmpretrain::deit/deit-tiny_4xb256_in1k.py': 'names, norms, biases and flat parameters',
    'mmpretrain::mocov3/benchmarks/vit-base-p16_8xb64-coslr-150e_in1k.py': 'names, norms and biases',
    'mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py': 'names, norms, biases and flat parameters',
    'mmpretrain::swin_transformer/swin-large_8xb8_cub-384px.py': 'names, norms and biases',
    'mmpretrain::csra/resnet101-csra_1xb16_voc07-448px.py': 'names: head 10',
    'mmseg::swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py': 'names',
    'mmseg::mask2former/mask2former_swin-t_8xb2-90k_cityscapes-512x1024.py': 'names: backbone 0.1, 64 without decay',
    'mmseg::mask2former/mask2former_swin-s_8xb2-90k_cityscapes-512x1024.py': 'names: as above, other layers',
    'mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py': 'names: backbone 0.1, norms',
    'mmseg::maskformer/maskformer_swin-t_upernet_8xb2-160k_ade20k-512x512.py': 'names: single norms',
    'mmseg::maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512.py': 'names: backbone 0.1',
    'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-300k_mapillay_v1_65-1280x1280.py': 'names: backbone 0.1',
    'mmseg::dnlnet/dnl_r50-d8_4xb2-80k_cityscapes-769x769.py': 'names within the head',
    'mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py': 'names',
    'mmdet::queryinst/queryinst_r50_fpn_1x_coco.py': 'names: backbone 0.1',
    'mmdet::convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py': 'layers, by mmdet',
    'mmyolo::yolov5/yolov5u/yolov5u_n_syncbn_fast_8xb16-300e_coco.py': 'types, by mmyolo',
    'mmyolo::yolov8/yolov8_n_syncbn_fast_8xb16-500e_coco.py': 'types, by mmyolo',
}
# Of networks whose units mmlocal does not know.
UNITS = {
    'ConvNeXt': [
        name
        for i, depth in enumerate((3, 3, 9, 3))
        for name in (f'downsample_layers.{i}', *(f'stages.{i}.{j}' for j in range(depth)))
    ]
}
SETTINGS = ('lr', 'weight_decay', 'lr_scale', 'initial_lr', 'nesterov', 'momentum')


@pytest.fixture(autouse=True)
def numbers_on_meta(monkeypatch):
    """Networks that read numbers off `linspace` (drop path) are built on meta all the same."""
    monkeypatch.setattr(torch, 'linspace', functools.partial(torch.linspace, device='cpu'))


def settings(cfg):
    """The model, and by the name of each parameter of it what the optimizer will do with it, or none."""
    cfg = copy.deepcopy(cfg)
    cfg.optim_wrapper.type = 'mmlocal.BlockwiseOptimWrapper'  # mixed precision needs a GPU in stock
    for name in ('loss_scale', 'dtype'):
        cfg.optim_wrapper.pop(name, None)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    told = {id(p): {key: group.get(key) for key in SETTINGS} for group in groups for p in group['params']}
    return model, {name: told.get(id(p)) for name, p in model.named_parameters()}


@pytest.mark.integration
@pytest.mark.parametrize('config', ZOO)
def test_every_stock_parameter_gets_what_stock_gives_it(config):
    name_installed_distributions()
    cfg = Config.fromfile(find_config(config))
    import_hosts(cfg)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        _, stock = settings(cfg)
        local_cfg = make_local(cfg, 'man', 4)
        units = UNITS.get(cfg.model.backbone.type.split('.')[-1])
        if units is not None:
            local_cfg.model.backbone.units = units
        model, local = settings(localize(local_cfg))
    assert {name: local[name] for name in stock} == stock
    by_parameter = {id(p): local[name] for name, p in model.named_parameters()}
    bridges = [module for module in model.modules() if isinstance(module, CopyBridge)]
    pairs = [pair for bridge in bridges for pair in bridge.pairs()]
    assert pairs
    assert all(by_parameter[id(copy_)] == by_parameter[id(source)] for copy_, source in pairs)
    heads = [told for name, told in local.items() if '.local_auxiliaries.' in name and '.head.' in name]
    assert heads
    of_host = [told for name, told in stock.items() if name.startswith(('head.', 'decode_head.', 'bbox_head.', 'roi_'))]
    assert all(told in of_host for told in heads)
    assert all(told is None for name, told in local.items() if '.ema.' in name)


def test_rules_by_name_do_not_reach_auxiliaries_that_stand_for_the_head(make_host, man_auxiliary):
    host = make_host(partition=['layer1.1', 'layer2.1'], auxiliary=man_auxiliary)
    wrapper = dict(
        type='mmlocal.BlockwiseOptimWrapper',
        constructor='mmlocal.LocalOptimWrapperConstructor',
        optimizer=dict(type='SGD', lr=1.0),
        paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
    )
    groups = build_optim_wrapper(host, wrapper).optimizer.param_groups
    lr = {id(p): group['lr'] for group in groups for p in group['params']}
    bridge = host.backbone.local_auxiliaries[0]
    assert lr[id(host.backbone.layer2[0].conv1.weight)] == 0.1
    assert lr[id(bridge.bridge.learnable.conv1.weight)] == 0.1
    assert lr[id(bridge.head.linear.weight)] == 1.0


@pytest.mark.parametrize('part', ['bbox_head', 'roi_head', 'decode_head', 'head'])
def test_a_local_head_gets_what_the_hosts_head_gets(make_host, man_auxiliary, part):
    """Where the model has none it gets what a part of the model would; a copy what its source gets."""
    host = make_host(partition=['layer1.1', 'layer2.1'], auxiliary=man_auxiliary)
    wrapper = dict(
        type='mmlocal.BlockwiseOptimWrapper',
        constructor='mmlocal.LocalOptimWrapperConstructor',
        optimizer=dict(type='SGD', lr=1.0, weight_decay=1.0),
        paramwise_cfg=dict(custom_keys={f'{part}.': dict(lr_mult=10.0, decay_mult=0.0), 'backbone': dict(lr_mult=0.1)}),
    )
    auxiliary = host.backbone.local_auxiliaries[0]

    def told(p):
        groups = build_optim_wrapper(host, wrapper).optimizer.param_groups
        return next((g['lr'], g['weight_decay']) for g in groups for mine in g['params'] if mine is p)

    if part != 'head':  # as the auxiliary calls its own part
        assert told(auxiliary.head.linear.weight) == (1.0, 1.0)
    setattr(host, part, torch.nn.Linear(2, 2))
    assert told(auxiliary.head.linear.weight) == told(host.get_submodule(part).weight) == (10.0, 0.0)
    assert told(auxiliary.bridge.learnable.conv1.weight) == (0.1, 1.0)
    assert host.get_submodule(part)._modules == {}


def test_rules_that_miss_the_auxiliaries_are_refused(make_host, man_auxiliary):
    host = make_host(partition=['layer1.1'], auxiliary=man_auxiliary)
    groups = [dict(params=[p], lr=0.1 / (i + 1)) for i, p in enumerate(host.parameters())]
    runner = SimpleNamespace(model=host, optim_wrapper=BlockwiseOptimWrapper(torch.optim.SGD(groups)))
    with pytest.raises(ConfigError, match=r"constructor='mmlocal\.LocalOptimWrapperConstructor'"):
        PlanHook().before_train(runner)
