"""A bridge of one convolution: the smallest method that is not in mmlocal."""

from mmcv.cnn import ConvModule

from mmlocal.auxiliaries import Bridge
from mmlocal.blocks import Shape
from mmlocal.registry import MODELS


@MODELS.register_module()
class ConvBridge(Bridge):
    """A 3x3 convolution with batch norm and ReLU between a block's output and its local head.

    Args:
        place: the boundary; given by `LocalBackbone`.
        channels: of what the head reads.
    """

    def __init__(self, place, channels=64):
        super().__init__()
        self.conv = ConvModule(place.shape.channels, channels, 3, padding=1, norm_cfg=dict(type='BN'))
        self.shape = Shape(channels, place.shape.stride)
        self.description = f'convolution to {channels}'

    def forward(self, feature, *further):
        """Carry (N, C, H, W) to (N, `channels`, H, W)."""
        return self.conv(feature)
