"""Every network family: cut, trained in isolation, loaded from and published to the stock network."""

import copy
import json
from importlib import import_module
from pathlib import Path

import pytest
import torch
import torchvision
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmlocal.blocks import OUTPUTS, Probe
from mmlocal.hosts import import_host
from mmlocal.registry import MODELS

SR = dict(in_channels=3, out_channels=3, mid_channels=8, upscale_factor=2)
SWINIR = dict(upscale=2, window_size=8, depths=[2] * 4, embed_dim=12, num_heads=[2] * 4, mlp_ratio=2)
TINY = dict(embed_dims=12, depths=[2, 2, 2, 2], num_heads=[1, 1, 2, 2])
# A type may be followed by a size. Then: host, network, side of the images, units, and three cuts that a stage or a
# skip makes interesting.
FAMILIES = {
    'ResNet': ('mmdet', dict(depth=18, base_channels=8), 64, 9, ['layer1.0', 'layer2.1', 'layer3.1']),
    'ResNeXt': (
        'mmpretrain',
        dict(depth=50, groups=4, width_per_group=4, base_channels=16, stem_channels=8, out_indices=(1, 3)),
        64,
        17,
        ['layer1.2', 'layer2.1', 'layer4.0'],
    ),
    'ResNetV1c': (
        'mmseg',
        dict(depth=18, base_channels=8, stem_channels=8, dilations=(1, 1, 2, 4), strides=(1, 2, 1, 1)),
        64,
        9,
        ['stem', 'layer2.1', 'layer4.0'],
    ),
    'ResNetV1d': (
        'mmpretrain',
        dict(depth=50, base_channels=8, stem_channels=8),
        64,
        17,
        ['layer1.2', 'layer2.1', 'layer3.5'],
    ),
    'ResNet_CIFAR': ('mmpretrain', dict(depth=18, base_channels=8), 32, 9, ['stem', 'layer2.1', 'layer3.0']),
    'VisionTransformer': (
        'mmpretrain',
        dict(img_size=32, patch_size=8, arch=dict(embed_dims=24, num_layers=4, num_heads=2, feedforward_channels=48)),
        32,
        5,
        ['stem', 'layers.0', 'layers.2'],
    ),
    'mmpretrain.SwinTransformer': (
        'mmpretrain',
        dict(img_size=64, window_size=2, arch={**TINY, 'num_heads': [2, 2, 2, 2]}),
        64,
        9,
        ['stages.0.0', 'stages.1.1', 'stages.2.1'],
    ),
    'mmseg.SwinTransformer': ('mmseg', TINY, 64, 9, ['stages.0.1', 'stages.1.1', 'stages.2.0']),
    'mmdet.SwinTransformer': ('mmdet', TINY, 64, 9, ['stages.0.0', 'stages.2.0', 'stages.3.0']),
    'CSPDarknet': ('mmdet', dict(deepen_factor=0.33, widen_factor=0.125), 64, 10, ['stage1.0', 'stage2.1', 'stage4.0']),
    'YOLOv8CSPDarknet': (
        'mmyolo',
        dict(deepen_factor=0.33, widen_factor=0.125),
        64,
        10,
        ['stem', 'stage3.0', 'stage3.1'],
    ),
    'mmlocal.CifarResNet 32': ('mmpretrain', dict(depth=32), 16, 16, ['stem', 'layer1.4', 'layer2.2']),
    'mmlocal.CifarResNet 110': ('mmpretrain', dict(depth=110), 16, 55, ['layer1.3', 'layer2.17', 'layer3.8']),
    'EDSRNet 16': ('mmagic', dict(SR, num_blocks=16), 16, 17, ['stem', 'body.3', 'body.9']),
    'EDSRNet 32': ('mmagic', dict(SR, num_blocks=32, res_scale=0.1), 16, 33, ['body.7', 'body.15', 'body.23']),
    'MSRResNet': ('mmagic', dict(SR, num_blocks=4), 16, 4, ['trunk_net.0', 'trunk_net.1', 'trunk_net.2']),
    'RRDBNet': ('mmagic', dict(SR, num_blocks=4, growth_channels=4), 16, 5, ['body.0', 'body.1', 'body.2']),
    'SwinIRNet': (
        'mmagic',
        dict(SWINIR, img_size=16, upsampler='pixelshuffle'),
        16,
        5,
        ['layers.0', 'layers.1', 'layers.2'],
    ),
}


PYRAMID = dict(embed_dims=8, num_layers=[2, 2, 2, 2], num_heads=[1, 1, 2, 2])
TWINS = dict(
    embed_dims=[8, 8, 16, 16], depths=[1, 2, 2, 1], num_heads=[1, 1, 2, 2], mlp_ratios=[2] * 4, strides=(4, 2, 2, 2)
)
PLAIN_VIT = dict(img_size=32, patch_size=8, embed_dims=24, num_layers=4, num_heads=2, mlp_ratio=2, out_indices=(1, 3))
THIN = dict(deepen_factor=0.33, widen_factor=0.125)
HRNET = dict(
    stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(2,), num_channels=(4,)),
    stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(1, 1), num_channels=(4, 8)),
    stage3=dict(num_modules=2, num_branches=3, block='BASIC', num_blocks=(1, 1, 1), num_channels=(4, 8, 12)),
    stage4=dict(num_modules=2, num_branches=4, block='BASIC', num_blocks=(1, 1, 1, 1), num_channels=(4, 8, 12, 16)),
)
# Further ones, of which no line of the library knows the name: the same, with three even blocks.
OTHERS = {
    'HRNet': ('mmdet', dict(extra=HRNET), 64, 7, ['stage2.0', 'stage3.1']),
    'MixVisionTransformer': ('mmseg', dict(PYRAMID, mlp_ratio=2), 64, 9, ['layers.0.1.1', 'layers.2.1.0']),
    'PyramidVisionTransformerV2': ('mmdet', dict(PYRAMID, mlp_ratios=[2] * 4), 64, 9, ['layers.0.1.1', 'layers.2.1.1']),
    'SVT': (
        'mmseg',
        dict(TWINS, sr_ratios=[4, 2, 1, 1], windiow_sizes=[7] * 4, norm_after_stage=True),
        64,
        14,
        ['position_encodings.0', 'layers.2.0'],
    ),
    'BEiT': ('mmseg', PLAIN_VIT, 32, 4, ['layers.0', 'layers.2']),
    'mmseg.VisionTransformer': ('mmseg', PLAIN_VIT, 32, 5, ['stem', 'layers.1']),
    'ConvNeXt': (
        'mmpretrain',
        dict(
            arch=dict(depths=[2, 2, 2, 2], channels=[8, 12, 16, 20]),
            out_indices=(0, 1, 2, 3),
            gap_before_final_norm=False,
        ),
        64,
        9,
        ['stages.0.1', 'stages.2.0'],
    ),
    'MobileNetV2': ('mmpretrain', dict(widen_factor=0.25, out_indices=(1, 2, 4, 6)), 64, 18, ['layer2.1', 'layer4.1']),
    'MobileNetV3': ('mmpretrain', dict(arch='small_050'), 64, 13, ['layer3', 'layer8']),
    'EfficientNet': ('mmpretrain', dict(arch='es'), 32, 19, ['layers.2.0', 'layers.4.1']),
    'RegNet': (
        'mmdet',
        dict(arch=dict(w0=16, wa=16.0, wm=2.0, group_w=8, depth=7, bot_mul=1.0)),
        64,
        8,
        ['layer1.0', 'layer3.0'],
    ),
    'MViT': (
        'mmpretrain',
        dict(arch=dict(embed_dims=8, num_layers=4, num_heads=1, downscale_indices=[1]), img_size=32),
        32,
        5,
        ['stem', 'blocks.1'],
    ),
    'PoolFormer': (
        'mmpretrain',
        dict(arch=dict(layers=[2] * 4, embed_dims=[8, 12, 16, 20], mlp_ratios=[2] * 4, layer_scale_init_value=0.1)),
        64,
        9,
        ['network.0.1', 'network.4.0'],
    ),
    'VAN': (
        'mmpretrain',
        dict(arch=dict(embed_dims=[8, 8, 16, 16], depths=[2, 2, 2, 2], ffn_ratios=[2] * 4)),
        64,
        9,
        ['blocks1.1', 'blocks3.0'],
    ),
    'CSPNeXt': ('mmdet', THIN, 64, 10, ['stage2.0', 'stage3.1']),
    'YOLOv5CSPDarknet': ('mmyolo', THIN, 64, 10, ['stage2.0', 'stage3.1']),
    'YOLOv7Backbone': ('mmyolo', dict(arch='Tiny', widen_factor=0.25), 64, 5, ['stage1.0', 'stage3.1']),
    'DenseNet': (
        'mmpretrain',
        dict(arch=dict(growth_rate=4, depths=[2, 2, 2, 2], init_channels=8)),
        64,
        9,
        ['stages.0', 'transitions.1'],
    ),
    'UNet': ('mmseg', dict(base_channels=4), 32, 14, ['encoder.1.1.1', 'decoder.3']),
    'NAFNet': (
        'mmagic',
        dict(img_channels=3, mid_channels=4, enc_blk_nums=[1, 1], middle_blk_num=1, dec_blk_nums=[1, 1]),
        32,
        6,
        ['encoders.0.0', 'decoders.0.0'],
    ),
    'mmlocal.Plain': ('mmengine', dict(width=4), 16, 4, ['first', 'third']),
    'mmlocal.torchvision': ('mmengine', dict(of='mobilenet_v3_small', width_mult=0.5), 64, 12, ['3', '8']),
}
# Behind a cut of theirs stands a unit that needs more than what was put out there, so that no copy of it can.
NO_COPIES = ('HRNet', 'VAN', 'UNet', 'NAFNet', 'SVT', 'mmlocal.Plain')


@MODELS.register_module(name='torchvision')
def of_torchvision(of, **arguments):
    """The trunk of a network that no host has."""
    return getattr(torchvision.models, of)(**arguments).features


@MODELS.register_module()
class Plain(nn.Module):
    """Functions between its layers, a skip from its first one to its last, and a weight of its own."""

    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.second, self.third = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.weight = nn.Parameter(torch.ones(width, 1, 1))
        self.last = nn.Conv2d(width, width, 1)

    def forward(self, x):
        start = self.first(x)
        x = self.second(start.relu()) * self.weight
        return self.last(self.third(x.relu()) + start)


class Net(BaseModel):
    """A network and a loss of all that it puts out, or of the last output."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.last_only = False

    def forward(self, inputs, data_samples=None, mode='tensor'):
        outputs = self.backbone(inputs)
        several = outputs if isinstance(outputs, (tuple, list)) else [outputs]
        several = several[-1:] if self.last_only else several
        return dict(loss=sum(o.square().mean() for o in several)) if mode == 'loss' else tuple(several)


ALL = FAMILIES | OTHERS


@pytest.fixture(params=FAMILIES, ids=str)
def family(request):
    """Both models of a family: `stock()` and `local(auxiliary, **arguments)`, an image, and the cuts."""
    with DefaultScope.overwrite_default_scope(ALL[request.param][0]):
        yield family_of(request.param)


every_network = pytest.mark.parametrize('family', ALL, indirect=True)


def family_of(name):
    """The family of that name; its host's scope has to be the default."""
    scope, arguments, size, units, cuts = ALL[name]
    if scope in ('mmagic', 'mmyolo'):
        import_host(scope)
    if name.startswith('mmlocal'):
        import_module('mmlocal.models.cifar_resnet')
    network = dict(type=name.split()[0], **copy.deepcopy(arguments))
    return Family(name, network, torch.randn(2, 3, size, size, dtype=torch.float64), units, cuts)


class Family:
    def __init__(self, name, network, image, units, cuts):
        self.name, self.network, self.image, self.units, self.cuts = name, network, image, units, cuts

    def with_copies(self, auxiliary):
        """An auxiliary, less its bridge where that could not copy the next unit."""
        return {key: value for key, value in auxiliary.items() if key != 'bridge' or self.name not in NO_COPIES}

    def stock(self):
        torch.manual_seed(0)
        return lively(Net(copy.deepcopy(self.network)))

    def local(self, auxiliary, **arguments):
        network = copy.deepcopy(self.network)
        own = {'type': network.pop('type')} | ({'arch': network.pop('arch')} if 'arch' in network else {})
        config = dict(type='mmlocal.LocalBackbone', arch=own, partition=self.cuts, auxiliary=auxiliary, **network)
        return lively(Net({**config, **arguments}))


def lively(model):
    """In double precision and training, without chance, and with branches that do something from the start."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.0)
        if hasattr(module, 'drop_prob'):
            module.drop_prob = 0.0
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model.double().train()


def gradients(model, below=''):
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None and n.startswith(below)}


def block_of(backbone, name):
    """Index of the block that a parameter of the network belongs to, or none."""
    parameter = dict(backbone.named_parameters())[name]
    owners = [
        i
        for i, b in enumerate(backbone.local_division.blocks)
        for u in b
        if any(p is parameter for p in u.parameters(backbone))
    ]
    return owners[0] if owners else None


@every_network
def test_it_is_cut_where_it_is_asked_for(family):
    backbone = family.local(dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))).backbone
    assert len(backbone.local_division.units) == family.units
    assert [block[-1].name for block in backbone.local_division.blocks[:-1]] == family.cuts
    assert isinstance(backbone.local_division.probe, Probe)
    assert backbone.local_division.units[-1].name in backbone.local_division.probe.reads[OUTPUTS]


def test_every_parameter_of_the_units_is_counted_once(family):
    backbone = family.local(dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))).backbone
    owned = [id(p) for unit in backbone.local_division.units for p in unit.parameters(backbone)]
    assert len(owned) == len(set(owned))
    first = backbone.local_division.units[0].parameters(backbone)
    assert first
    assert all(p.requires_grad for p in first)


@every_network
def test_a_block_hears_its_own_loss_only(family, make_loop):
    """With the local losses switched off one by one, exactly the gradients of their own blocks go."""
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    for silent in range(len(family.cuts)):
        configs = [dict(auxiliary, loss_weight=0.0 if i == silent else 1.0) for i in range(len(family.cuts))]
        model = family.local(configs)
        loop = make_loop(model)
        loop.model.train()
        grads = record(loop, family.image)
        for name, grad in grads.items():
            if not of_network(name):
                continue
            block = block_of(model.backbone, name.removeprefix('backbone.'))
            if block == silent:
                assert not grad.any(), f'{name} of block {block + 1} hears a loss that is not its own'
        heard = [n for n, g in grads.items() if of_network(n) and g.any()]
        assert {block_of(model.backbone, n.removeprefix('backbone.')) for n in heard} >= (
            set(range(len(family.cuts) + 1)) - {silent}
        )


def of_network(name):
    return name.startswith('backbone.') and not name.startswith('backbone.local_auxiliaries.')


@every_network
def test_a_reach_of_all_blocks_without_local_losses_is_end_to_end(family, make_loop):
    """Then the model's own loss flows back through every link, skips across boundaries included."""
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'), loss_weight=0.0)
    model, stock = family.local(auxiliary, reach=len(family.cuts) + 1), family.stock()
    stock.backbone.load_state_dict(published(model.backbone))
    # What a pyramid hands out before its end is detached at any reach.
    model.last_only = stock.last_only = True
    local = record(make_loop(model), family.image)
    loss = stock(family.image, mode='loss')['loss']
    loss.backward()
    for name, grad in gradients(stock).items():
        ours = local[name]
        torch.testing.assert_close(ours, grad, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f'{n}: {m}')


def record(loop, image):
    """Gradients that one training step leaves, before the optimizer uses them."""
    found = {}
    optimizer = loop.optim_wrapper.optimizer

    def keep(*_):
        for name, p in loop.model.named_parameters():
            if p.grad is not None:
                found[name] = found.get(name, 0) + p.grad.clone()

    handle = optimizer.register_step_pre_hook(keep)
    loop.step(image)
    handle.remove()
    return found


def published(backbone):
    """The state dict without everything of the auxiliaries, as publish_model.py makes it."""
    return {k: v for k, v in backbone.state_dict().items() if not k.startswith('local_auxiliaries.')}


@every_network
def test_stock_weights_load_and_the_published_model_is_the_stock_one(family, man_auxiliary):
    local, stock = family.local(family.with_copies(man_auxiliary)), family.stock()
    keys = local.backbone.load_state_dict(stock.backbone.state_dict(), strict=False)
    assert not keys.unexpected_keys
    assert all(key.startswith('local_auxiliaries.') for key in keys.missing_keys)
    other = family.stock()
    with torch.no_grad():
        for p in other.parameters():
            p.add_(0.1)
    other.backbone.load_state_dict(published(local.backbone), strict=True)
    with torch.no_grad():
        for ours, theirs in zip(local.eval()(family.image), other.eval()(family.image), strict=True):
            assert torch.equal(ours, theirs)


@every_network
def test_names_are_those_of_the_stock_network(family, man_auxiliary):
    """In its order, of the same kinds; so what looks for a name, a place or a class finds the same."""
    local, stock = family.local(family.with_copies(man_auxiliary)).backbone, family.stock().backbone

    def told(network):
        parameters = [(name, p.shape) for name, p in network.named_parameters()]
        buffers = [(name, b.shape) for name, b in network.named_buffers()]
        modules = [(name, type(m).__name__) for name, m in network.named_modules()]
        return [[one for one in told if not one[0].startswith('local_aux')] for told in (parameters, buffers, modules)]

    assert told(local) == told(stock)
    assert isinstance(local, type(stock))
    heard = []
    first = next(name for name, m in stock.named_modules() if isinstance(m, nn.Conv2d))
    local.get_submodule(first).register_forward_hook(lambda *_: heard.append(first))
    local(family.image)
    assert heard == [first]


WRAPPERS = ('OptimWrapper', 'mmlocal.BlockwiseOptimWrapper')


@pytest.mark.parametrize('wrappers', [WRAPPERS, WRAPPERS[::-1]], ids=['from stock', 'to stock'])
def test_states_of_optimizers_pass_between_stock_and_block_wise_wrappers(family, man_auxiliary, wrappers):
    """Each parameter of the local model finds its own state again, whichever of the wrappers saved it."""
    rules = dict(custom_keys={'backbone': dict(lr_mult=0.1)}, norm_decay_mult=0.0)
    model = family.local(man_auxiliary)

    def build(kind):
        optimizer = dict(type='Adam', lr=0.01, weight_decay=0.1)
        own = dict(constructor='mmlocal.LocalOptimWrapperConstructor', paramwise_cfg=rules)
        return build_optim_wrapper(model, dict(type=kind, optimizer=optimizer, **own))

    first, second = map(build, wrappers)
    model.train_step(dict(inputs=family.image, data_samples=None), first)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    ours, theirs = first.optimizer, second.optimizer
    trained = {n: p for n, p in model.named_parameters() if p in ours.state}
    assert any(of_network(name) for name in trained)
    assert set(ours.state) == set(theirs.state)
    assert all(torch.equal(ours.state[p]['exp_avg'], theirs.state[p]['exp_avg']) for p in trained.values())
    settings = [{p: (g['lr'], g['weight_decay']) for g in o.param_groups for p in g['params']} for o in (ours, theirs)]
    assert settings[0] == settings[1]


# Units, and what two steps did, when the units of these networks were still listed class by class.
GOLDEN = json.loads(Path(__file__).with_name('golden.json').read_text(encoding='utf-8'))


def units_and_steps(family, auxiliary, make_loop):
    """Units with their modules and own parameters; of two steps the loss, and the sums of all weights."""
    torch.manual_seed(2)
    model = family.local(copy.deepcopy(auxiliary))
    torch.manual_seed(3)
    image = torch.randn(family.image.shape, dtype=torch.float64)
    loop, steps = make_loop(model), []
    for _ in range(2):
        loss = float(loop.step(image)['loss'].detach())
        sums = [
            sum(p.abs().sum() for n, p in model.named_parameters() if of_network(n) is own) for own in (True, False)
        ]
        steps.append([loss, *map(float, sums)])
    division = model.backbone.local_division
    units = {unit.name: [' '.join(unit.modules), ' '.join(unit.own)] for unit in division.units}
    return dict(units=units, copied=sorted(division.probe.alone), steps=steps)


@pytest.mark.parametrize('family', [name for name in FAMILIES if name in GOLDEN], indirect=True)
@pytest.mark.parametrize('method', ['plain', 'man'])
def test_units_and_steps_are_those_of_the_units_once_listed_by_hand(family, method, make_loop, man_auxiliary):
    plain = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    found = units_and_steps(family, man_auxiliary if method == 'man' else plain, make_loop)
    wanted = GOLDEN[family.name][method]
    assert found['units'] == wanted['units']
    assert set(wanted['copied']) <= set(found['copied'])
    torch.testing.assert_close(found['steps'], wanted['steps'], rtol=1e-9, atol=0.0)
