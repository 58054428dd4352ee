"""Networks of all kinds: how each is built, its units, and cuts that are of interest."""

import copy
from importlib import import_module

import torch
import torchvision
from mmengine.model import BaseModel
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

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


def of_network(name):
    return name.startswith('backbone.') and not name.startswith('backbone.local_auxiliaries.')
