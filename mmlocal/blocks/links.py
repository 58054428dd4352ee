"""Features that are read detached, and the way of their gradients back into the blocks that put them out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmlocal.blocks.trainer import Span
from mmlocal.losses import backward

__all__ = ['Links']

# What a unit puts out, with its graph, and the leaves that are read in its place.
Link = tuple[Sequence[Tensor], Sequence[Tensor]]


class Segment(NamedTuple):
    """A piece of the network that later losses still reach: its number, and its links in the order they ran."""

    number: int
    links: list[Link]

    def leaves(self) -> Iterator[Tensor]:
        """All leaves, in the order they ran."""
        return (leaf for _, leaves in self.links for leaf in leaves)


class Links:
    """The segments of one forward that a later loss still reaches, oldest first."""

    def __init__(self) -> None:
        self._segments: deque[Segment] = deque()
        self._running: list[Link] = []

    def link(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """Leaves in place of a unit's outputs that are read again behind its block.

        Their gradients go on into the unit with the losses that reach the segment, and with no other: whoever
        reads them later reads detached features.
        """
        leaves = [output.detach().requires_grad_() for output in outputs]
        self._running.append((outputs, leaves))
        return leaves

    def end_segment(self, outputs: Sequence[Tensor], number: int) -> list[Tensor]:
        """Leaves in place of a unit's outputs from which on a later loss flows back, and before which it does not."""
        leaves = self.link(outputs)
        self._segments.append(Segment(number, self._running))
        self._running = []
        return leaves

    def backward(self, leaf: Tensor, staying: Tensor | None, span: Span) -> None:
        """Carry the gradient of a block's losses from its leaf as far back as each flows.

        Args:
            leaf: of the block's output; its `grad` flows as far as the block's reach.
            staying: a gradient at the same place that goes through the block alone.
            span: how far.
        """
        if staying is None:
            self._propagate(span.reach, span.kept)
        else:
            self._propagate_apart(leaf, staying, span)

    def drop(self, kept: int, running: int) -> int:
        """Forget all but the newest `kept` segments with their graphs; number of the first left, or `running`."""
        while len(self._segments) > kept:
            for leaf in self._segments.popleft().leaves():
                leaf.requires_grad_(False)
        return self._segments[0].number if self._segments else running

    def close(self, passed_on: float) -> None:
        """Carry what the model's own loss left at open links back; `passed_on` is its share for these blocks."""
        for leaf in (leaf for segment in self._segments for leaf in segment.leaves()):
            if leaf.grad is not None and passed_on != 1.0:
                leaf.grad *= passed_on
        self._propagate(len(self._segments), 0)
        self._segments.clear()

    def forget_running(self) -> None:
        """The forward has ended: what the last block links is read by nobody."""
        self._running = []

    def _propagate(self, reach: int, kept: int) -> None:
        """Carry the newest leaf's gradient back through `reach` linked segments, newest first.

        The graphs of the newest `kept` segments stay for losses to come; the others are freed.
        """
        for age, segment in enumerate(reversed(self._segments)):
            for outputs, leaves in reversed(segment.links):
                heard = _take_gradients(outputs, leaves)
                if heard and age < reach:
                    of, gradients = zip(*heard, strict=True)
                    del heard
                    backward(of, gradients, retain_graph=age < kept)

    def _propagate_apart(self, leaf: Tensor, staying: Tensor, span: Span) -> None:
        """Carry two gradients back: `staying` through the block alone, the leaf's as far as it reaches.

        The block's weights need their sum, the blocks before it the second alone. Where the block is one link, one
        backward with the sum and one for the block's input alone are enough; else each gradient has its own.
        """
        flowing, leaf.grad = leaf.grad, None
        own = self._segments[-1].links
        if flowing is not None and span.own == 1 and len(own) == 1 and span.reach > 1:
            self._propagate_sum(own[0][0][0], staying, flowing, span)
            return
        leaf.grad = staying
        self._propagate(span.own, len(self._segments))
        leaf.grad = flowing
        self._propagate(span.reach, span.kept)

    def _propagate_sum(self, output: Tensor, staying: Tensor, flowing: Tensor, span: Span) -> None:
        earlier = [leaf for segment in list(self._segments)[:-1] for leaf in segment.leaves()]
        with torch.autocast(output.device.type, enabled=False):
            passed = torch.autograd.grad(output, earlier, flowing, retain_graph=True, allow_unused=True)
        backward(output, flowing.add_(staying), retain_graph=span.kept > 0)
        for leaf, gradient in zip(earlier, passed, strict=True):
            leaf.grad = gradient
        self._propagate(span.reach, span.kept)


def _take_gradients(outputs: Sequence[Tensor], leaves: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """The outputs whose leaves have a gradient, each with it; the leaves keep none."""
    heard = [(output, leaf.grad) for output, leaf in zip(outputs, leaves, strict=True) if leaf.grad is not None]
    for leaf in leaves:
        leaf.grad = None
    return heard
