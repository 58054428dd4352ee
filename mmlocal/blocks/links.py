"""Features that are read detached, and the way of their gradients back into the blocks that put them out."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor

from mmlocal.blocks.losses import backward
from mmlocal.blocks.trainer import Span

__all__ = ['Links']

# A unit's output with its graph, and the leaf that is read in its place.
Link = tuple[Tensor, Tensor]


class Segment(NamedTuple):
    """A piece of the network that later losses still reach: its number, and its links in the order they ran."""

    number: int
    links: list[Link]


class Links:
    """The segments of one forward that a later loss still reaches, oldest first."""

    def __init__(self) -> None:
        self._segments: deque[Segment] = deque()
        self._running: list[Link] = []

    def link(self, output: Tensor) -> Tensor:
        """A leaf in place of a unit's output that is read again behind its block.

        Its gradient goes on into the unit with the losses that reach the segment, and with no other: whoever
        reads it later reads a detached feature.
        """
        leaf = output.detach().requires_grad_()
        self._running.append((output, leaf))
        return leaf

    def end_segment(self, output: Tensor, number: int) -> Tensor:
        """A leaf in place of a unit's output from which on a later loss flows back, and before which it does not."""
        leaf = self.link(output)
        self._segments.append(Segment(number, self._running))
        self._running = []
        return leaf

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
            for _, leaf in self._segments.popleft().links:
                leaf.requires_grad_(False)
        return self._segments[0].number if self._segments else running

    def close(self, passed_on: float) -> None:
        """Carry what the model's own loss left at open links back; `passed_on` is its share for these blocks."""
        for _, leaf in (link for segment in self._segments for link in segment.links):
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
            for output, leaf in reversed(segment.links):
                gradient, leaf.grad = leaf.grad, None
                if gradient is not None and age < reach:
                    backward(output, gradient, retain_graph=age < kept)

    def _propagate_apart(self, leaf: Tensor, staying: Tensor, span: Span) -> None:
        """Carry two gradients back: `staying` through the block alone, the leaf's as far as it reaches.

        The block's weights need their sum, the blocks before it the second alone. Where the block is one link, one
        backward with the sum and one for the block's input alone are enough; else each gradient has its own.
        """
        flowing, leaf.grad = leaf.grad, None
        own = self._segments[-1].links
        if flowing is not None and span.own == 1 and len(own) == 1 and span.reach > 1:
            self._propagate_sum(own[0][0], staying, flowing, span)
            return
        leaf.grad = staying
        self._propagate(span.own, len(self._segments))
        leaf.grad = flowing
        self._propagate(span.reach, span.kept)

    def _propagate_sum(self, output: Tensor, staying: Tensor, flowing: Tensor, span: Span) -> None:
        earlier = [leaf for segment in list(self._segments)[:-1] for _, leaf in segment.links]
        with torch.autocast(output.device.type, enabled=False):
            passed = torch.autograd.grad(output, earlier, flowing, retain_graph=True, allow_unused=True)
        backward(output, flowing.add_(staying), retain_graph=span.kept > 0)
        for leaf, gradient in zip(earlier, passed, strict=True):
            leaf.grad = gradient
        self._propagate(span.reach, span.kept)
