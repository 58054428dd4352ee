"""A block's training part by part: forward through the bridge, losses, backward through the bridge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mmlocal.auxiliaries.pieces import Piece, chunks
from mmlocal.blocks import Batch, Part, separate, statistics_kept
from mmlocal.hosts.samples import images_of
from mmlocal.losses import backward

if TYPE_CHECKING:
    from mmlocal.auxiliaries.auxiliary import Auxiliary

__all__ = ['BridgedPart', 'ChunkPart', 'WeightedPart', 'WholePart', 'portion', 'some', 'weighted']


class WholePart:
    """All losses in one graph, the bridge's included: a feature bank reads several outputs of the bridge.

    Args:
        auxiliary: whose losses they are.
        feature: the block's output, a leaf; or a piece of it.
        batch: what belongs to it.
    """

    def __init__(self, auxiliary: Auxiliary, feature: Tensor, batch: Batch) -> None:
        self.auxiliary, self.feature, self.batch = auxiliary, feature, batch

    def forward(self) -> None:
        """The losses run the bridge."""

    def losses(self) -> Iterator[dict[str, Any]]:
        """All at once."""
        yield self.auxiliary.loss(self.feature, self.batch)

    def backward(self) -> None:
        """The losses' backward goes through the bridge."""


class BridgedPart(WholePart):
    """Head and terms read a leaf of what the bridge puts out: one graph behind the bridge is alive at a time."""

    def forward(self) -> None:
        """Run the bridge, without a graph where it runs again."""
        with torch.set_grad_enabled(not self.auxiliary.recompute):
            bridged = self.auxiliary.bridge(self.feature, *self.batch.further)
        self.output, self.further = separate(bridged, self.batch.further)
        self.leaf = self.output if self.output is self.feature else self.output.detach().requires_grad_()

    def losses(self) -> Iterator[dict[str, Any]]:
        """The head's, then those of each term."""
        auxiliary = self.auxiliary
        yield auxiliary.head_losses(auxiliary.reader(self.leaf, self.further, self.batch.inputs), self.batch)
        for name in auxiliary.terms:
            yield auxiliary.term_losses(
                auxiliary.reader(self.leaf, self.further, self.batch.inputs), self.batch, [name]
            )

    def backward(self) -> None:
        """Carry the leaf's gradient through the bridge, which runs again if it has no graph."""
        output, gradient = self.output, self.leaf.grad
        bridged = output is not self.feature
        del self.output
        if bridged and not self.auxiliary.recompute:
            backward(output, gradient)
        elif bridged:
            del output
            self._run_again(gradient)

    def _run_again(self, gradient: Tensor | None) -> None:
        auxiliary = self.auxiliary
        with statistics_kept(auxiliary.bridge):
            if gradient is None or auxiliary.chunks == 1 or auxiliary.separable:
                backward(self._bridged(self.feature), gradient)
                return
            for piece, chosen in chunks(self.feature, auxiliary.chunks):
                backward(self._bridged(piece.leaf), gradient[chosen])
                piece.give_back()

    def _bridged(self, feature: Tensor) -> Tensor:
        return separate(self.auxiliary.bridge(feature, *self.batch.further))[0]


class WeightedPart:
    """A part whose losses have a weight, and names that tell them apart.

    Args:
        part: the part.
        weight: of its losses.
        prefix: of the names.
    """

    def __init__(self, part: Part, weight: float, prefix: str = '') -> None:
        self.part, self.weight, self.prefix = part, weight, prefix
        self.forward, self.backward = part.forward, part.backward

    def losses(self) -> Iterator[dict[str, Any]]:
        """The part's, weighted."""
        for losses in self.part.losses():
            yield {f'{self.prefix}{name}': value for name, value in weighted(losses, self.weight).items()}


class ChunkPart:
    """A part on some of a batch's images.

    Args:
        part: on the piece.
        piece: of the block's output.
    """

    def __init__(self, part: Part, piece: Piece) -> None:
        self.part, self.piece = part, piece
        self.forward = part.forward

    def losses(self) -> Iterator[dict[str, Any]]:
        """What they add to the means over the batch."""
        share = self.piece.leaf.shape[0] / self.piece.feature.shape[0]
        for losses in self.part.losses():
            yield portion(losses, share)

    def backward(self) -> None:
        """Through the bridge, then to the gradient of the whole output."""
        self.part.backward()
        self.piece.give_back()


def some(batch: Batch, chosen: slice) -> Batch:
    """A batch of some images."""
    return replace(
        batch,
        inputs=images_of(batch.inputs, chosen),
        data_samples=images_of(batch.data_samples, chosen),
        bank={name: output[chosen] for name, output in batch.bank.items()},
    )


def portion(losses: Mapping[str, Any], share: float) -> dict[str, Any]:
    """What a part of a batch adds to the means over the whole of it; logged values, too."""
    return {name: _times(value, share) for name, value in losses.items()}


def weighted(losses: Mapping[str, Any], weight: float) -> dict[str, Any]:
    """Losses times `weight`; what is no loss is only logged, and stays."""
    if weight == 1.0:
        return dict(losses)
    return {name: _times(value, weight) if 'loss' in name else value for name, value in losses.items()}


def _times(value: Any, factor: float) -> Any:
    return [factor * one for one in value] if isinstance(value, list) else factor * value
