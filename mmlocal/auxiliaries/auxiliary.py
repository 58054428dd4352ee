"""What trains a block: a bridge from its output, a task head with the losses, and further terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule, ModuleDict
from torch import Tensor

from mmlocal.auxiliaries.parts import BridgedPart, ChunkPart, WholePart, some, weighted
from mmlocal.auxiliaries.pieces import chunks as chunks_of
from mmlocal.auxiliaries.reader import Reader
from mmlocal.auxiliaries.single_values import normalise_single_values
from mmlocal.blocks import Batch, Part, Place, Stream, separate
from mmlocal.errors import ConfigError, Faults
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
    def separable(self) -> bool:
        """Whether the losses of a batch are the mean of those of its images."""
        return all(getattr(part, 'mean_over_images', False) for part in (self.head, *self.terms.values()))

    def _chunk_faults(self) -> list[str]:
        if self.chunks < 1:
            return [f'chunks = {self.chunks} is below 1']
        if self.chunks == 1 or self.separable:
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

    def streams(self, feature: Tensor, batch: Batch) -> list[Stream]:
        """All of its losses flow back as far as the backbone's reach."""
        return [Stream(False, self.parts(feature, batch))]

    def parts(self, feature: Tensor, batch: Batch) -> Iterator[Part]:
        """Chunks of the batch one after the other, or all of it at once."""
        part = BridgedPart if self.merge is None else WholePart
        if self.chunks == 1 or not self.separable:
            yield part(self, feature, batch)
            return
        for piece, chosen in chunks_of(feature, self.chunks):
            yield ChunkPart(part(self, piece.leaf, some(batch, chosen)), piece)

    def forward(self, feature: Tensor, batch: Batch | None = None) -> Any:
        """The raw outputs of head and terms for a block's output, without losses."""
        read, merged = self.read(feature, batch or Batch())
        return [self.head(merged), *(term(read) for term in self.terms.values())]

    def loss(self, feature: Tensor, batch: Batch) -> dict[str, Any]:
        """Losses of a block's output under the host's own annotations.

        Args:
            feature: (N, C, H, W), or tokens (N, L, C).
            batch: the images as the host's network gets them, its annotations, the feature bank.
        """
        read, merged = self.read(feature, batch)
        return self.head_losses(merged, batch) | self.term_losses(read, batch)

    def head_losses(self, read: Any, batch: Batch) -> dict[str, Any]:
        """The losses of the head, weighted, of what it reads."""
        losses: dict[str, Any] = self.head.loss(read, batch.inputs, batch.data_samples)
        return weighted(losses, self.loss_weight)

    def term_losses(self, read: Tensor, batch: Batch, names: Iterable[str] | None = None) -> dict[str, Any]:
        """The losses of all terms, or of some, weighted, by `loss_NAME`."""
        return {
            f'loss_{name}': self.term_weights[name] * self.terms[name].loss(read, batch.inputs, batch.data_samples)
            for name in (self.terms if names is None else names)
        }

    def read(self, feature: Tensor, batch: Batch) -> tuple[Tensor, Any]:
        """What the terms read, and what the head reads."""
        if self.merge is None:
            read = self.reader(*separate(self.bridge(feature, *batch.further), batch.further), batch.inputs)
            return read, read
        outputs = self.bridge.outputs(feature, *batch.further)
        return self.reader(*outputs[-1]), self.merge(outputs, batch.bank)
