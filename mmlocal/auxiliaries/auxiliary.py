"""What trains a block: a bridge from its output, a task head with the losses, and further terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import torch
from mmengine.model import BaseModule, ModuleDict
from torch import Tensor

from mmlocal.auxiliaries.pieces import Piece
from mmlocal.auxiliaries.reader import Reader
from mmlocal.auxiliaries.single_values import normalise_single_values
from mmlocal.blocks import Batch, Place, separate, statistics_kept
from mmlocal.errors import ConfigError, Faults
from mmlocal.hosts.samples import images_of
from mmlocal.registry import MODELS

__all__ = ['Auxiliary']

_IDENTITY = dict(type='mmlocal.IdentityBridge')
Weight = float | Sequence[float] | Mapping[str, float]


@MODELS.register_module()
class Auxiliary(BaseModule):
    """Bridge, merge with the feature bank, head: `losses = head.loss(merge(bridge(feature), bank), …)`, and terms.

    Heads read maps (N, C, H, W). Tokens with a map size are laid out as one. Of tokens without, the class token or
    their mean is read as a map of one pixel; a head of segmentation reads all of them, laid out as the patches of the
    image are (`Reader`). Terms read what the bridge puts out.

    Args:
        place: the boundary; given by `LocalBackbone`.
        head: config of a local head. `localize` derives it from the host where a config has none.
        bridge: config of a bridge; none hands the block's output to the head.
        merge: config of what joins the bridge's outputs with the feature bank; none where there is no bank.
        terms: configs of further losses, by the name that they have in the logs.
        loss_weight: factor of the head's losses. A pair is interpolated from the first boundary to the last; a mapping
            has one for each stage, that of the unit behind the boundary. The same in the terms.
        chunks: divide the batch into as many parts, one after the other, the graph of each freed before the next:
            the same losses and gradients, but for batch norm, which normalises each part by itself. A head or a
            term that does not take the mean over images (detection, similarity) needs `recompute`, too: the
            bridge alone runs in parts then.
        recompute: do not keep what the bridge's backward needs, but run it again there: the same gradients.

    Note:
        A batch norm that is given one value a channel (an image of a batch of one, on a map of one pixel) uses its
        running statistics.

    Raises:
        ConfigError: if the head is missing, or bridge, merge, head or a term do not fit, or the losses have no chunks.
    """

    passed_on = 1.0

    def __init__(
        self,
        place: Place,
        head: Mapping[str, Any] | None = None,
        bridge: Mapping[str, Any] | None = None,
        merge: Mapping[str, Any] | None = None,
        terms: Mapping[str, Mapping[str, Any]] | None = None,
        loss_weight: Weight = 1.0,
        chunks: int = 1,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.chunks, self.recompute = chunks, recompute
        self.name = place.block
        self.place = place.cut
        self.loss_weight = place.between(loss_weight)
        faults = Faults()
        if head is None:
            faults.found.append(
                'head is missing, and it was not derived: pass the config through mmlocal.config.localize'
            )
        with faults.under('bridge'):
            self.bridge = MODELS.build(dict(bridge or _IDENTITY), default_args=dict(place=place))
        self.merge = None
        if merge and hasattr(self, 'bridge'):
            with faults.under('merge'):
                self.merge = MODELS.build(dict(merge), default_args=dict(place=place, shapes=self.bridge.shapes))
        if hasattr(self, 'bridge'):
            if head is not None:
                with faults.under('head'):
                    self.head = self._build_head(head)
            laid_out = self.merge is None and getattr(getattr(self, 'head', None), 'lays_out', False)
            self.reader = Reader(self.bridge.shape, laid_out)
            self._build_terms(terms or {}, place, faults)
        if not faults.found:
            faults.found += self._chunk_faults()
        faults.report()
        normalise_single_values(self)

    @property
    def whole(self) -> bool:
        """Whether `loss` gives all of its losses at once, in one graph."""
        return self.chunks == 1 and not self.recompute

    @property
    def _separable(self) -> bool:
        """Whether the losses of a batch are the mean of those of its images."""
        return all(getattr(part, 'mean_over_images', False) for part in (self.head, *self.terms.values()))

    def _chunk_faults(self) -> list[str]:
        if self.chunks < 1:
            return [f'chunks = {self.chunks} is below 1']
        if self.chunks == 1 or self._separable:
            return []
        if self.merge is not None:
            return [f'chunks = {self.chunks}: a feature bank does not go with losses that couple the images of a batch']
        if self.recompute:
            return []
        return [
            f'chunks = {self.chunks}: the losses of {self.name} couple the images of a batch: recompute=True as well'
        ]

    def _build_head(self, head: Mapping[str, Any]) -> Any:
        shape = self.bridge.shape if self.merge is None else self.merge.shape
        given = head.get('in_channels', shape.channels)
        if given != shape.channels:
            raise ConfigError(
                f'in_channels = {given}, but what reaches the head of {self.name} (behind {self.place!r}, '
                f'{self.bridge.description}) has {shape.channels} channels'
            )
        given_args = dict(in_channels=shape.channels, stride=shape.stride)
        strides = getattr(self.merge, 'strides', None)
        built = MODELS.build(dict(head), default_args=given_args | (dict(strides=strides) if strides else {}))
        self._refuse_tokens(built, shape.is_map, head)
        return built

    def _build_terms(self, terms: Mapping[str, Mapping[str, Any]], place: Place, faults: Faults) -> None:
        shape, built = self.bridge.shape, {}
        self.term_weights = {}
        for name, config in terms.items():
            with faults.under(f'terms.{name}'):
                given = dict(in_channels=shape.channels, stride=shape.stride)
                built[name] = MODELS.build(dict(config), default_args=given)
                self._refuse_tokens(built[name], shape.is_map, config)
                self.term_weights[name] = place.between(built[name].loss_weight)
        self.terms = ModuleDict(built)

    def _refuse_tokens(self, built: Any, is_map: bool, config: Mapping[str, Any]) -> None:
        laid_out = self.merge is None and getattr(built, 'lays_out', False)
        if getattr(built, 'needs_map', False) and not is_map and not laid_out:
            raise ConfigError(
                f'type = {config.get("type")!r} needs a map, and {self.name} (behind {self.place!r}) puts out tokens '
                'without a map size'
            )

    @property
    def reads(self) -> tuple[str, ...]:
        """The units whose outputs it reads from the feature bank."""
        return () if self.merge is None else tuple(self.merge.reads)

    @property
    def description(self) -> str:
        """Bridge, merge, head and terms in a few words, for the plan."""
        merge = () if self.merge is None else (self.merge.description,)
        terms = [f'{name} x{self.term_weights[name]:g}' for name in self.terms]
        return ', '.join([self.bridge.description, *merge, self.head.description, *terms])

    def streams(self) -> list[tuple[bool, Callable[[Tensor, Batch], Iterator[dict[str, Any]]]]]:
        """All of its losses flow back as far as the backbone's reach."""
        return [(False, self.losses)]

    def losses(self, feature: Tensor, batch: Batch) -> Iterator[dict[str, Any]]:
        """The losses part by part: of a chunk of the batch the head's, then those of each term.

        One graph behind the bridge is alive at a time. The gradient of all of them goes back through the bridge.
        """
        if self.chunks == 1 or not self._separable:
            yield from self._losses_of(feature, batch)
            return
        for chosen in self._chunks(feature):
            piece = Piece(feature, itemgetter(chosen))
            share = piece.leaf.shape[0] / feature.shape[0]
            for losses in self._losses_of(piece.leaf, _some(batch, chosen)):
                yield portion(losses, share)
            piece.give_back()

    def _chunks(self, feature: Tensor) -> Iterator[slice]:
        count = feature.shape[0]
        size = -(-count // self.chunks)
        return (slice(first, min(first + size, count)) for first in range(0, count, size))

    def _losses_of(self, feature: Tensor, batch: Batch) -> Iterator[dict[str, Any]]:
        if self.merge is not None:
            yield self.loss(feature, batch)
            return
        # Without a graph where it runs again.
        with torch.set_grad_enabled(not self.recompute):
            output, further = separate(self.bridge(feature, *batch.further), batch.further)
        leaf = output if output is feature else output.detach().requires_grad_()
        yield self._head_losses(self.reader(leaf, further, batch.inputs), batch)
        for name in self.terms:
            yield self.term_losses(self.reader(leaf, further, batch.inputs), batch, [name])
        if output is feature:
            return
        if self.recompute:
            del output
            self._rerun_bridge(feature, batch, leaf.grad)
        else:
            _propagate(output, leaf.grad)

    def _rerun_bridge(self, feature: Tensor, batch: Batch, gradient: Tensor | None) -> None:
        """Carry the gradient of what the bridge put out back to the block's output, chunk by chunk."""
        with statistics_kept(self.bridge):
            if gradient is None or self.chunks == 1 or self._separable:
                _propagate(separate(self.bridge(feature, *batch.further))[0], gradient)
                return
            for chosen in self._chunks(feature):
                piece = Piece(feature, itemgetter(chosen))
                _propagate(separate(self.bridge(piece.leaf, *batch.further))[0], gradient[chosen])
                piece.give_back()

    def forward(self, feature: Tensor, batch: Batch | None = None) -> Any:
        """The raw outputs of head and terms for a block's output, without losses."""
        read, merged = self._read(feature, batch or Batch())
        return [self.head(merged), *(term(read) for term in self.terms.values())]

    def loss(self, feature: Tensor, batch: Batch) -> dict[str, Any]:
        """Losses of a block's output under the host's own annotations.

        Args:
            feature: (N, C, H, W), or tokens (N, L, C).
            batch: the images as the host's network gets them, its annotations, the feature bank.
        """
        read, merged = self._read(feature, batch)
        return self._head_losses(merged, batch) | self.term_losses(read, batch)

    def _head_losses(self, read: Any, batch: Batch) -> dict[str, Any]:
        losses: dict[str, Any] = self.head.loss(read, batch.inputs, batch.data_samples)
        return weighted(losses, self.loss_weight)

    def term_losses(self, read: Tensor, batch: Batch, names: Iterable[str] | None = None) -> dict[str, Any]:
        """The losses of all terms, or of some, weighted, by `loss_NAME`."""
        return {
            f'loss_{name}': self.term_weights[name] * self.terms[name].loss(read, batch.inputs, batch.data_samples)
            for name in (self.terms if names is None else names)
        }

    def _read(self, feature: Tensor, batch: Batch) -> tuple[Tensor, Any]:
        """What the terms read, and what the head reads."""
        if self.merge is None:
            read = self.reader(*separate(self.bridge(feature, *batch.further), batch.further), batch.inputs)
            return read, read
        outputs = self.bridge.outputs(feature, *batch.further)
        return self.reader(*outputs[-1], batch.inputs), self.merge(outputs, batch.bank)


def _propagate(output: Tensor, gradient: Tensor | None) -> None:
    # The forward of a mixed-precision step is under autocast, its backward must not be.
    with torch.autocast(output.device.type, enabled=False):
        torch.autograd.backward(output, gradient)


def _some(batch: Batch, chosen: slice) -> Batch:
    """A batch of some images."""
    return replace(
        batch,
        inputs=images_of(batch.inputs, chosen),
        data_samples=images_of(batch.data_samples, chosen),
        bank={name: output[chosen] for name, output in batch.bank.items()},
    )


def portion(losses: Mapping[str, Any], share: float) -> dict[str, Any]:
    """What a part of a batch adds to the means over the whole of it; logged values, too."""
    return {
        name: [share * v for v in value] if isinstance(value, list) else share * value for name, value in losses.items()
    }


def weighted(losses: Mapping[str, Any], weight: float) -> dict[str, Any]:
    """Losses times `weight`; what is no loss is only logged, and stays."""
    if weight == 1.0:
        return dict(losses)
    return {
        name: value
        if 'loss' not in name
        else [weight * v for v in value]
        if isinstance(value, list)
        else weight * value
        for name, value in losses.items()
    }
