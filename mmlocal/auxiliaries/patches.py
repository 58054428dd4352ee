"""Patch feature fusion: one auxiliary network on patches of the feature, one patch at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from mmlocal.auxiliaries.auxiliary import Auxiliary, Weight
from mmlocal.auxiliaries.parts import WholePart, portion, weighted
from mmlocal.auxiliaries.pieces import Piece, cut
from mmlocal.blocks import Batch, Place, statistics_kept
from mmlocal.errors import ConfigError
from mmlocal.losses import total_of
from mmlocal.registry import MODELS

__all__ = ['PatchAuxiliary']


class PatchPart(WholePart):
    """One patch of the feature, in one graph.

    Args:
        auxiliary: whose losses they are.
        piece: the patch.
        batch: what belongs to it.
        mean: of a head with scores, the losses of the mean over all patches, and their gradient for this patch's.
    """

    auxiliary: PatchAuxiliary

    def __init__(
        self, auxiliary: PatchAuxiliary, piece: Piece, batch: Batch, mean: tuple[dict[str, Any], Tensor] | None
    ) -> None:
        super().__init__(auxiliary, piece.leaf, batch)
        self.piece, self.mean = piece, mean

    def losses(self) -> Iterator[dict[str, Any]]:
        """The patch's share of the head's losses, and its terms."""
        auxiliary, batch, share = self.auxiliary, self.batch, 1 / self.auxiliary.patches**2
        read, _ = auxiliary.read(self.feature, batch)
        if self.mean is None:
            losses = auxiliary.head.loss(read, batch.inputs, batch.data_samples)
        else:
            known, slope = self.mean
            carried = (auxiliary.head(read) * slope).sum()
            losses = {**known, 'loss_slope': (carried - carried.detach()) / share}
        yield portion(weighted(losses, auxiliary.loss_weight), share) | auxiliary.term_losses(read, batch)

    def backward(self) -> None:
        """To the gradient of the whole output."""
        self.piece.give_back()


@MODELS.register_module()
class PatchAuxiliary(Auxiliary):
    """`y = 1 / n^2 * sum of g(patch)` over n x n patches of the block's output, g one auxiliary network.

    Of a head that gives scores for the image, the mean of all patches' scores is held against the label; a head for
    pixels is held against its patch of the target, and the mean of these losses is trained; the terms are held against
    their patch of the image, and their sum is trained, as released. The
    graph of a patch is freed before the next patch runs; the block's own backward runs once. A head with
    scores runs twice, the first time without a graph. Batch norm normalises each patch by itself.

    Source: HPFF (arXiv 2407.05638), by its formula. Its released code patches the decoder alone, with a decoder for
    each patch, in one graph.

    Args:
        place: the boundary; given by `LocalBackbone`.
        patches: n.
        **auxiliary: as for `Auxiliary`.

    Raises:
        ConfigError: if the head has no form for patches (detection, contrast), or the feature is no map.
    """

    def __init__(
        self,
        place: Place,
        patches: int = 2,
        head: Mapping[str, Any] | None = None,
        bridge: Mapping[str, Any] | None = None,
        terms: Mapping[str, Mapping[str, Any]] | None = None,
        loss_weight: Weight = 1.0,
    ) -> None:
        super().__init__(place, head, bridge, None, terms, loss_weight)
        if patches < 1:
            raise ConfigError(f'patches = {patches} is below 1')
        if place.shape.layout != 'map':
            raise ConfigError(f'patches need a map, and {place.block} (behind {place.cut!r}) puts out tokens')
        if not hasattr(self.head, 'loss_of') and not hasattr(self.head, 'crop'):
            raise ConfigError(f'patches: {type(self.head).__name__} has no form for patches: it reads the whole image')
        self.patches = patches
        self.stride = place.shape.stride

    @property
    def whole(self) -> bool:
        """Each patch has a graph of its own."""
        return False

    @property
    def description(self) -> str:
        """As the auxiliary's, with the patches."""
        return f'{self.patches}x{self.patches} patches: {super().description}'

    def check_image(self, height: int, width: int) -> None:
        """Refuse images whose feature patches do not divide; called with the first sample's size before training.

        Raises:
            ConfigError: naming both.
        """
        self._check_size(math.ceil(height / self.stride), math.ceil(width / self.stride))

    def _check_size(self, height: int, width: int) -> None:
        """Refuse a feature of a size that patches do not divide.

        Raises:
            ConfigError: naming both.
        """
        if height % self.patches or width % self.patches:
            raise ConfigError(
                f'patches = {self.patches} does not divide the feature of {self.name} (behind {self.place!r}), which '
                f'has {height} x {width} pixels'
            )

    def forward(self, feature: Tensor, batch: Batch | None = None) -> Any:
        """The raw outputs for the first patch: what is kept at a time."""
        place, part = next(self._patches(replace(batch or Batch(), inputs=None, data_samples=None)))
        return super().forward(cut(feature, place), part)

    def parts(self, feature: Tensor, batch: Batch) -> Iterator[PatchPart]:
        """One patch after the other, row by row."""
        self._check_size(*feature.shape[-2:])
        mean = self._of_mean(feature, batch) if hasattr(self.head, 'loss_of') else None
        for place, part in self._patches(batch):
            yield PatchPart(self, Piece(feature, partial(cut, place=place)), part, mean)

    def _of_mean(self, feature: Tensor, batch: Batch) -> tuple[dict[str, Any], Tensor]:
        """The losses of the patches' mean scores, and their gradient for the scores of one patch."""
        with torch.no_grad(), statistics_kept(self):
            scores = [self.head(self.read(cut(feature, place), part)[0]) for place, part in self._patches(batch)]
        with torch.enable_grad():
            mean = torch.stack(scores).mean(0).requires_grad_()
            losses = self.head.loss_of(mean, batch.data_samples)
            (slope,) = torch.autograd.grad(cast(Tensor, total_of(losses)), mean)
        return {name: value.detach() if isinstance(value, Tensor) else value for name, value in losses.items()}, (
            slope / self.patches**2
        )

    def _patches(self, batch: Batch) -> Iterator[tuple[tuple[int, int, int], Batch]]:
        """The place of each patch, and what belongs to it of the images and the target."""
        n = self.patches
        for row in range(n):
            for column in range(n):
                place = (row, column, n)
                samples = batch.data_samples
                if samples is not None and hasattr(self.head, 'crop'):
                    samples = self.head.crop(samples, place)
                yield place, replace(batch, inputs=cut(batch.inputs, place), data_samples=samples)
