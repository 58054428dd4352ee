"""Local detection: any dense head of mmdet on a block's output."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmlocal.auxiliaries.heads.levels import place_on_levels, set_width, with_defaults
from mmlocal.errors import ConfigError
from mmlocal.hosts.samples import boxes_by_image, of_one_class
from mmlocal.registry import MODELS

__all__ = ['DenseDetHead']


@MODELS.register_module()
class DenseDetHead(BaseModule):
    """A 1x1 convolution, further levels if asked for, and a dense head of mmdet with its own losses.

    One level gets the anchors of its own stride; more levels follow by ReLU and a 3x3 convolution of
    stride 2 each, as MAN++ has for its last auxiliary (arXiv 2507.16279, released code).

    Args:
        in_channels: channels of the feature; filled in from the bridge.
        stride: input pixels per pixel of the feature; filled in from the bridge.
        dense_head: config of any mmdet dense head. Its strides and channels are set here.
        num_levels: pyramid levels, the first at the feature's own stride.
        min_stride: a finer feature is averaged down to this stride first: a dense head on a map of
            stride 4 costs more than a whole ResNet-50.
        train_cfg: the dense head's own (assigner, sampler); `None` leaves it to `dense_head`.
        strides: of the levels of a feature that has several; filled in from the feature bank. Such a feature is
            read as it is.
        one_class: objects of all classes are one class, for a host that only proposes boxes.
        by_image: mmyolo's annotations, one tensor for all images, are handed on image by image, as a head of mmdet
            takes them.

    Raises:
        ConfigError: if the dense head has no strides that could be set, or a stride is not a multiple.
    """

    needs_map = True

    def __init__(
        self,
        in_channels: int,
        stride: float,
        dense_head: Mapping[str, Any],
        num_levels: int = 1,
        min_stride: int = 8,
        train_cfg: Mapping[str, Any] | None = None,
        strides: Sequence[int] | None = None,
        one_class: bool = False,
        by_image: bool = False,
    ) -> None:
        super().__init__()
        self.one_class, self.by_image = one_class, by_image
        if num_levels < 1:
            raise ConfigError(f'num_levels = {num_levels} is below 1')
        factor = max(1, round(min_stride / stride))
        given = [round(stride * factor)] if strides is None else list(strides)
        levels = [*given, *(given[-1] * 2 ** (i + 1) for i in range(num_levels - 1))]
        config = place_on_levels(with_defaults(dense_head), levels)
        width = set_width(config, len(levels), None if strides is None else in_channels)
        self.pool = nn.AvgPool2d(factor) if factor > 1 else nn.Identity()
        self.lateral = ConvModule(in_channels, width, 1) if strides is None else nn.Identity()
        self.downs = ModuleList(
            ConvModule(width, width, 3, stride=2, padding=1, order=('act', 'conv', 'norm'), inplace=False)
            for _ in range(num_levels - 1)
        )
        defaults = {} if train_cfg is None else dict(train_cfg=copy.deepcopy(train_cfg))
        self.dense_head = MODELS.build(config, default_args=defaults)
        self.description = f'{type(self.dense_head).__name__} at stride {", ".join(map(str, levels))}'

    def levels(self, feature: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """From (N, C, H, W), or several levels of it, to the levels of the dense head, finest first."""
        outputs = list(feature) if isinstance(feature, tuple) else [self.lateral(self.pool(feature))]
        for down in self.downs:
            outputs.append(down(outputs[-1]))
        return tuple(outputs)

    def forward(self, feature: Tensor | tuple[Tensor, ...]) -> Any:
        """The dense head's raw outputs, without losses."""
        return self.dense_head(self.levels(feature))

    def loss(self, feature: Tensor | tuple[Tensor, ...], inputs: Any, data_samples: Any) -> dict[str, Any]:
        """The dense head's losses; `inputs` are not used."""
        samples = boxes_by_image(data_samples) if self.by_image else data_samples
        samples = of_one_class(samples) if self.one_class else samples
        losses: dict[str, Any] = self.dense_head.loss(self.levels(feature), samples)
        return losses
