"""Two auxiliary networks at one boundary: one for the block alone, one for the window of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from mmlocal.auxiliaries.parts import WeightedPart
from mmlocal.blocks import Batch, Place, Stream
from mmlocal.errors import ConfigError, Faults
from mmlocal.losses import Losses
from mmlocal.registry import MODELS

__all__ = ['Streams']


@MODELS.register_module()
class Streams(BaseModule):
    """`independent_weight * independent + (1 - independent_weight) * cascade`.

    The independent loss stays in its block; the cascaded one flows back as far as the backbone's reach. Of the
    model's own loss, which both streams share, the cascade's part alone goes on to the blocks before the last.

    Sources: the independent and cascaded local learning of HPFF (arXiv 2407.05638) and the multilaminar local
    modules of MLAAN (arXiv 2406.16633), released code, 0.001 and 0.999. They run every window again, where here
    each block runs once: the weights do not change within an iteration, so both streams see the same features.

    Args:
        place: the boundary; given by `LocalBackbone`.
        independent: config of an auxiliary.
        cascade: config of an auxiliary.
        independent_weight: within 0 and 1.

    Raises:
        ConfigError: if the weight is outside, or an auxiliary does not fit.
    """

    def __init__(
        self,
        place: Place,
        independent: Mapping[str, Any],
        cascade: Mapping[str, Any],
        independent_weight: float = 0.001,
    ) -> None:
        super().__init__()
        if not 0 <= independent_weight <= 1:
            raise ConfigError(f'independent_weight = {independent_weight} is not within 0 and 1 (0.001 is published)')
        self.name = place.block
        self.weight = independent_weight
        faults = Faults()
        for name, config in (('independent', independent), ('cascade', cascade)):
            with faults.under(name):
                setattr(self, name, MODELS.build(dict(config), default_args=dict(place=place)))
        faults.report()

    @property
    def passed_on(self) -> float:
        """The cascade's share of the model's own loss."""
        return 1 - self.weight

    @property
    def reads(self) -> tuple[str, ...]:
        """The units whose outputs are read from the feature bank."""
        return (*self.independent.reads, *self.cascade.reads)

    @property
    def description(self) -> str:
        """Both in a few words, for the plan."""
        return f'{self.weight:g} alone: {self.independent.description}; in the window: {self.cascade.description}'

    @property
    def whole(self) -> bool:
        """Two gradients, which flow differently far, are two graphs."""
        return False

    def streams(self, feature: Tensor, batch: Batch) -> list[Stream]:
        """The independent losses, which stay in the block, then the cascaded ones."""
        independent, cascade = self.independent.parts(feature, batch), self.cascade.parts(feature, batch)
        return [
            Stream(True, (WeightedPart(part, self.weight, 'independent.') for part in independent)),
            Stream(False, (WeightedPart(part, self.passed_on) for part in cascade)),
        ]

    def loss(self, feature: Tensor, batch: Batch) -> Losses:
        """Of one graph there is none.

        Raises:
            NotImplementedError: always, as for all that is not `whole`.
        """
        raise NotImplementedError('the two streams of an auxiliary have no loss in one graph')

    def forward(self, feature: Tensor, batch: Batch | None = None) -> Any:
        """The raw outputs of both."""
        return self.independent(feature, batch), self.cascade(feature, batch)
