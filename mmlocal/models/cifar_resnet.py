"""The ResNets for CIFAR that this field compares its methods on."""

from __future__ import annotations

from typing import Any, ClassVar

from mmpretrain.models.backbones.resnet import BasicBlock
from mmpretrain.models.backbones.resnet_cifar import ResNet_CIFAR

from mmlocal.registry import MODELS

__all__ = ['CifarResNet']


@MODELS.register_module()
class CifarResNet(ResNet_CIFAR):
    """ResNet of 6n + 2 layers for images of 32x32: three stages of n basic units, 16, 32 and 64 channels wide.

    Source: ResNet (arXiv 1512.03385), section 4.2, with 1x1 convolutions as shortcuts, as in InfoPro's
    released code (arXiv 2101.10832) and its descendants.

    Args:
        depth: 20, 32, 44, 56 or 110.
        stem_stride: of the first convolution; 2 makes everything behind it four times cheaper.
        **kwargs: further arguments of mmpretrain's `ResNet_CIFAR`.
    """

    arch_settings: ClassVar[dict[int, Any]] = {
        depth: (BasicBlock, ((depth - 2) // 6,) * 3) for depth in (20, 32, 44, 56, 110)
    }

    def __init__(self, depth: int, stem_stride: int = 1, **kwargs: Any) -> None:
        form = dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,))
        widths = dict(stem_channels=16, base_channels=16)
        super().__init__(depth, **{**form, **widths, 'zero_init_residual': False, **kwargs})
        # mmpretrain's stem has a stride of 1 and no argument for it.
        self.conv1.stride = (stem_stride, stem_stride)
