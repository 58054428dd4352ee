"""What trains a block: a bridge from its output, and a task head with the losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from mmlocal.auxiliaries.reader import Reader
from mmlocal.blocks import Place, separate
from mmlocal.errors import ConfigError, Faults
from mmlocal.registry import MODELS

__all__ = ['Auxiliary']

_IDENTITY = dict(type='mmlocal.IdentityBridge')


@MODELS.register_module()
class Auxiliary(BaseModule):
    """Bridge, then head: `losses = head.loss(bridge(feature), inputs, data_samples)`.

    Heads read maps (N, C, H, W). Tokens with a map size are laid out as one; of tokens without, the class
    token or their mean is read as a map of one pixel (`Reader`).

    Args:
        place: the boundary; given by `LocalBackbone`.
        head: config of a local head. `localize` derives it from the host where a config has none.
        bridge: config of a bridge; none hands the block's output to the head.
        loss_weight: factor of all of its losses.

    Raises:
        ConfigError: if the head is missing, or bridge or head do not fit.
    """

    def __init__(
        self,
        place: Place,
        head: Mapping[str, Any] | None = None,
        bridge: Mapping[str, Any] | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.name = place.block
        self.loss_weight = loss_weight
        faults = Faults()
        if head is None:
            faults.found.append(
                'head is missing, and it was not derived: pass the config through mmlocal.config.localize'
            )
        with faults.under('bridge'):
            self.bridge = MODELS.build(dict(bridge or _IDENTITY), default_args=dict(place=place))
        if head is not None and hasattr(self, 'bridge'):
            with faults.under('head'):
                self.head = self._build_head(head, place)
        faults.report()

    def _build_head(self, head: Mapping[str, Any], place: Place) -> Any:
        shape = self.bridge.shape
        given = head.get('in_channels', shape.channels)
        if given != shape.channels:
            raise ConfigError(
                f'in_channels = {given}, but what reaches the head of {place.block} (behind {place.cut!r}, '
                f'{self.bridge.description}) has {shape.channels} channels'
            )
        self.reader = Reader(shape)
        built = MODELS.build(dict(head), default_args=dict(in_channels=shape.channels, stride=shape.stride))
        if getattr(built, 'needs_map', False) and not shape.is_map:
            raise ConfigError(
                f'type = {head.get("type")!r} needs a map, and {place.block} (behind {place.cut!r}) puts out tokens '
                'without a map size'
            )
        return built

    @property
    def description(self) -> str:
        """Bridge and head in a few words, for the plan."""
        return f'{self.bridge.description}, {self.head.description}'

    def forward(self, feature: Tensor, *further: Any) -> Any:
        """The head's raw outputs for a block's output, without losses."""
        return self.head(self._read(feature, further))

    def loss(self, feature: Tensor, inputs: Any, data_samples: Any, further: tuple[Any, ...] = ()) -> dict[str, Any]:
        """Losses of a block's output under the host's own annotations.

        Args:
            feature: (N, C, H, W), or tokens (N, L, C).
            inputs: the images as the host's network gets them.
            data_samples: the host's annotations.
            further: what the next unit gets beside the feature.
        """
        losses: dict[str, Any] = self.head.loss(self._read(feature, further), inputs, data_samples)
        return {name: self._weighted(value) if 'loss' in name else value for name, value in losses.items()}

    def _read(self, feature: Tensor, further: tuple[Any, ...]) -> Tensor:
        read: Tensor = self.reader(*separate(self.bridge(feature, *further), further))
        return read

    def _weighted(self, value: Any) -> Any:
        if self.loss_weight == 1.0:
            return value
        return [self.loss_weight * v for v in value] if isinstance(value, list) else self.loss_weight * value
