"""The units of the network families that mmlocal knows, one function each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from mmlocal.blocks.units import Unit
from mmlocal.registry import UNIT_FINDERS

__all__ = [
    'csp_darknet_units',
    'edsr_units',
    'msr_resnet_units',
    'resnet_units',
    'swin_units',
    'swinir_units',
    'vit_units',
]


def _present(network: nn.Module, names: Iterable[str]) -> tuple[str, ...]:
    """Those of `names` that are modules of `network`: some are there in some settings only."""
    return tuple(name for name in names if isinstance(getattr(network, name, None), nn.Module))


def _children(network: nn.Module, name: str, first: Sequence[str] = ()) -> list[Unit]:
    """Every child of a module as a unit; the modules of `first` belong to the first of them."""
    children = [f'{name}.{child}' for child, _ in network.get_submodule(name).named_children()]
    units = [Unit(child, (child,)) for child in children]
    return [Unit(units[0].name, (*first, *units[0].modules)), *units[1:]]


@UNIT_FINDERS.register_module(name='ResNet')
def resnet_units(network: nn.Module) -> list[Unit]:
    """Stem and residual units of any network built like a ResNet (mmdet, mmseg, mmpretrain).

    ResNeXt, ResNetV1c, ResNetV1d and the ResNets for CIFAR are among them. The stem runs from the first
    convolution to the pooling, so that a cut behind it is a cut behind the pooling.
    """
    stem = _present(network, ('stem', 'conv1', getattr(network, 'norm1_name', 'norm1'), 'relu', 'maxpool'))
    stages: list[str] = network.res_layers  # type: ignore[assignment]
    return [Unit('stem', stem), *(unit for stage in stages for unit in _children(network, stage))]


@UNIT_FINDERS.register_module(name='VisionTransformer')
def vit_units(network: nn.Module) -> list[Unit]:
    """Patch embedding with class token and positions, then the layers (mmpretrain)."""
    own = tuple(name for name in ('cls_token', 'pos_embed') if isinstance(getattr(network, name, None), nn.Parameter))
    stem = Unit('stem', _present(network, ('patch_embed', 'drop_after_pos', 'pre_norm')), own)
    return [stem, *_children(network, 'layers')]


@UNIT_FINDERS.register_module(name='SwinTransformer')
def swin_units(network: nn.Module) -> list[Unit]:
    """Patch embedding, then the blocks of every stage (mmdet, mmseg, mmpretrain).

    The patch merging between two stages belongs to the first block of the later one, so that a cut
    behind a stage has its feature before the merging, which is what the stage hands out.
    """
    own = tuple(n for n in ('absolute_pos_embed',) if isinstance(getattr(network, n, None), nn.Parameter))
    units = [Unit('stem', _present(network, ('patch_embed', 'drop_after_pos')), own)]
    merging: tuple[str, ...] = ()
    for i, stage in enumerate(network.stages):  # type: ignore[arg-type]
        blocks = _children(network, f'stages.{i}.blocks', first=merging)
        units += [Unit(unit.name.replace('.blocks', ''), unit.modules) for unit in blocks]
        merging = (f'stages.{i}.downsample',) if isinstance(stage.downsample, nn.Module) else ()
    return units


@UNIT_FINDERS.register_module(name=['CSPDarknet', 'YOLOv5CSPDarknet', 'YOLOXCSPDarknet', 'YOLOv8CSPDarknet'])
def csp_darknet_units(network: nn.Module) -> list[Unit]:
    """Stem, then the convolution, the CSP layer and the pyramid pooling of every stage (mmdet, mmyolo).

    With GSO-YOLO's modules those are units too, `stage4.gom` and `stage4.scm`.
    """
    stages: list[str] = network.layers[1:]  # type: ignore[index, assignment]
    return [Unit('stem', ('stem',)), *(unit for stage in stages for unit in _children(network, stage))]


@UNIT_FINDERS.register_module(name=['EDSRNet', 'RRDBNet'])
def edsr_units(network: nn.Module) -> list[Unit]:
    """First convolution, which the network adds again behind its body, and the residual units (mmagic).

    What follows the body (convolution, upsampling) belongs to the last unit's block.
    """
    return [Unit('stem', ('conv_first',)), *_children(network, 'body')]


@UNIT_FINDERS.register_module(name='MSRResNet')
def msr_resnet_units(network: nn.Module) -> list[Unit]:
    """The residual units, the first convolution with the first of them: their activation lies between (mmagic)."""
    return _children(network, 'trunk_net', first=('conv_first',))


@UNIT_FINDERS.register_module(name='SwinIRNet')
def swinir_units(network: nn.Module) -> list[Unit]:
    """First convolution, which the network adds again behind its body, and the residual groups (mmagic)."""
    groups = _children(network, 'layers', first=_present(network, ('patch_embed', 'pos_drop')))
    own = tuple(n for n in ('absolute_pos_embed',) if isinstance(getattr(network, n, None), nn.Parameter))
    return [Unit('stem', ('conv_first',)), Unit(groups[0].name, groups[0].modules, own), *groups[1:]]
