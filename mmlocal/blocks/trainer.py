"""What trains a block, as the step sees it: the protocols that an auxiliary network keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from mmlocal.losses import Losses

__all__ = ['Batch', 'Part', 'Span', 'Stream', 'Trainer']


@dataclass(frozen=True)
class Batch:
    """What a local loss may read beside the block's output.

    Args:
        inputs: the images as the model's network gets them.
        data_samples: the host's annotations.
        further: what the next unit gets beside the feature (Swin's map size).
        bank: outputs of units that ran in this forward, detached, by the unit's name.
    """

    inputs: Any = None
    data_samples: Any = None
    further: tuple[Any, ...] = ()
    bank: Mapping[str, Tensor] = field(default_factory=dict)


class Part(Protocol):
    """A part of a block's training (all of the batch, some images, a patch), in the order of its methods.

    Its graph is freed before the next part begins.
    """

    def forward(self) -> None:
        """Run what lies between the block's output and the heads (the bridge)."""

    def losses(self) -> Iterable[Losses]:
        """The losses; each is propagated before the next is asked for."""

    def backward(self) -> None:
        """Carry the gradient of all losses from behind the bridge to the block's output."""


class Stream(NamedTuple):
    """Parts whose losses flow equally far.

    Args:
        stays: whether they stay in the block; else they flow as far as the backbone's reach.
        parts: one after the other.
    """

    stays: bool
    parts: Iterable[Part]


class Trainer(Protocol):
    """What trains a block: an auxiliary network.

    Attributes:
        name: the block's, for the logs.
        passed_on: share of the model's own loss that goes on from the last block to those before it, within reach.
        reads: units whose outputs it reads from the feature bank.
        description: a few words for the plan.
        whole: whether `loss` gives all of its losses at once, in one graph.
    """

    name: str

    @property
    def passed_on(self) -> float: ...

    @property
    def reads(self) -> tuple[str, ...]: ...

    @property
    def description(self) -> str: ...

    @property
    def whole(self) -> bool: ...

    def streams(self, feature: Tensor, batch: Batch) -> Sequence[Stream]:
        """How a block's output is trained; `feature` is a leaf that collects the gradient."""

    def loss(self, feature: Tensor, batch: Batch) -> Losses:
        """All losses at once; only for what is `whole`."""


@dataclass(frozen=True)
class Span:
    """How far the losses at a boundary flow back, in segments: pieces of the network between two leaves.

    Args:
        own: segments of the block itself.
        reach: segments that the block's loss flows through, its own included.
        kept: of the newest segments, how many losses to come flow through.
        reconcile: weight of the penalty of successive gradient reconciliation; 0 is none.
    """

    own: int = 1
    reach: int = 1
    kept: int = 0
    reconcile: float = 0.0

    @property
    def alone(self) -> bool:
        """Whether the block's loss reaches that block alone, and no later loss does."""
        return self.reach == self.own and self.kept == 0
