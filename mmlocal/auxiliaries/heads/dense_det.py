"""Local detection: any dense head of mmdet on a block's output."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS

__all__ = ['DenseDetHead', 'place_on_levels']


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
    ) -> None:
        super().__init__()
        if num_levels < 1:
            raise ConfigError(f'num_levels = {num_levels} is below 1')
        factor = max(1, round(min_stride / stride))
        given = [round(stride * factor)] if strides is None else list(strides)
        levels = [*given, *(given[-1] * 2 ** (i + 1) for i in range(num_levels - 1))]
        config = place_on_levels(_with_defaults(dense_head), levels)
        width = _set_width(config, len(levels), None if strides is None else in_channels)
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
        losses: dict[str, Any] = self.dense_head.loss(self.levels(feature), data_samples)
        return losses


def place_on_levels(dense_head: Mapping[str, Any], strides: Sequence[int]) -> dict[str, Any]:
    """A copy of a dense head's config that works on levels of these strides.

    Ranges that a head has a level (`regress_ranges` of FCOS) are kept for the same strides, the last
    one left open.

    Raises:
        ConfigError: if neither the head nor its anchor generator has strides.
    """
    config = copy.deepcopy(dict(dense_head))
    generator = next((g for g in ('anchor_generator', 'prior_generator') if 'strides' in config.get(g, {})), None)
    if generator is None and 'strides' not in config:
        raise ConfigError(
            f'dense_head of type {config.get("type")!r} has no strides, neither its own nor those of its '
            'anchor_generator: give one of them (any values; they are set to the strides of the block)'
        )
    owner = config if generator is None else config[generator]
    before = list(owner['strides'])
    owner['strides'] = list(strides)
    if 'head_module' in config:
        config['head_module']['featmap_strides'] = list(strides)
    if 'regress_ranges' in config:
        config['regress_ranges'] = _ranges(config['regress_ranges'], before, strides)
    if 'strides' in config:
        config['strides'] = list(strides)
    return config


def _set_width(config: dict[str, Any], num_levels: int, given: int | None) -> int:
    """Give a head levels of one width each, and return it; mmyolo's have theirs in a module of their own."""
    module = config.get('head_module')
    if module is None:
        width: int = given or config.get('feat_channels', 256)
        config['in_channels'] = width
        return width
    width = given or round(module['in_channels'][0] * module.get('widen_factor', 1.0))
    module.pop('widen_factor', None)
    module['in_channels'] = [width] * num_levels
    return width


def _with_defaults(dense_head: Mapping[str, Any]) -> dict[str, Any]:
    """The head's config with strides and ranges that it leaves to its class: FCOS's are for five levels."""
    with MODELS.switch_scope_and_registry(None) as registry:
        head = registry.get(dense_head['type'])
    defaults: dict[str, Any] = {}
    for base in reversed(inspect.getmro(head)):
        init = vars(base).get('__init__')
        parameters = inspect.signature(init).parameters.values() if inspect.isfunction(init) else ()
        defaults |= {p.name: p.default for p in parameters if p.name in ('strides', 'regress_ranges')}
    return defaults | dict(dense_head)


def _ranges(ranges: Sequence[Any], before: Sequence[int], strides: Sequence[int]) -> tuple[Any, ...]:
    index = [min(range(len(before)), key=lambda i: abs(before[i] - stride)) for stride in strides]
    kept = [tuple(ranges[i]) for i in index]
    kept[0] = (-1, kept[0][1])
    kept[-1] = (kept[-1][0], ranges[-1][1])
    return tuple(kept)
