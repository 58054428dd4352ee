"""Averaging gradients over processes while the step goes on."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.futures import Future

__all__ = ['GradientReducer', 'all_reduce']

# Gives the sum over the processes of what it is given: a future of the tensor, or of a list with it.
CommunicationHook = Callable[[Tensor, Any], Future[Any]]


class _Bucket(NamedTuple):
    """Gradients on their way: whose they are, and what comes back."""

    parameters: list[nn.Parameter]
    future: Future[Any]


class _State(NamedTuple):
    """An average in its place, and how often it was written to. It is not kept alive."""

    gradient: weakref.ref[Tensor]
    version: int


def all_reduce(flat: Tensor, group: Any) -> Future[Any]:
    """The sum over the processes, without waiting for it."""
    future: Future[Any] = dist.all_reduce(flat, group=group, async_op=True).get_future()
    return future


class GradientReducer:
    """Averages the gradients of one step over the processes, some parameters at a time.

    `start` takes the gradients of parameters that no other loss will reach, sends them off, and returns at once; `wait`
    and `finish` put the averages in their place. A parameter without a gradient in every process keeps none; where some
    have one, it counts as zero in the others, as in `DistributedDataParallel`.

    Note:
        All processes must start the same parameters in the same order. Blocks end in the same order everywhere.

    Args:
        parameters: all that train, by name.
        group: the processes; all of them if not given.
        hook: sums over the processes; `all_reduce` if not given.
        bucket_bytes: largest size of what is sent at once; one parameter may be larger.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        group: Any = None,
        hook: CommunicationHook | None = None,
        bucket_bytes: int = 25 * 2**20,
    ) -> None:
        self._names = {parameter: name for name, parameter in parameters.items()}
        self._waiting = dict.fromkeys(parameters.values())
        self._group, self._hook, self._bucket_bytes = group, hook or all_reduce, bucket_bytes
        self._size = dist.get_world_size(group)
        self._sent: deque[_Bucket] = deque()
        self._averaged: dict[nn.Parameter, _State] = {}

    @torch.no_grad()
    def start(self, parameters: Iterable[nn.Parameter]) -> int:
        """Take and send the gradients of those that train and have not been sent; the number of buckets under way."""
        chosen = [p for p in dict.fromkeys(parameters) if p in self._waiting]
        for p in chosen:
            del self._waiting[p]
        for bucket in self._buckets(chosen):
            self._send(bucket)
        return len(self._sent)

    @torch.no_grad()
    def wait(self, count: int | None = None) -> None:
        """Wait for all that was sent, or for the first so many buckets of it.

        Raises:
            RuntimeError: if a loss reached a parameter after its gradient was sent.
        """
        for _ in range(len(self._sent) if count is None else count):
            self._take(self._sent.popleft())

    def finish(self) -> None:
        """Send what is left, and wait for all.

        Raises:
            RuntimeError: if a loss reached a parameter after its gradient was sent.
        """
        self.start(list(self._waiting))
        self.wait()
        for parameter, (gradient, version) in self._averaged.items():
            if parameter.grad is not None and (parameter.grad is not gradient() or parameter.grad._version != version):
                self._refuse(parameter)

    def _buckets(self, parameters: list[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
        bucket: list[nn.Parameter] = []
        for p in sorted(parameters, key=lambda p: (str(p.dtype), str(p.device))):
            fits = sum(q.nbytes for q in bucket) + p.nbytes <= self._bucket_bytes
            if bucket and (not fits or (p.dtype, p.device) != (bucket[0].dtype, bucket[0].device)):
                yield bucket
                bucket = []
            bucket.append(p)
        if bucket:
            yield bucket

    def _send(self, parameters: list[nn.Parameter]) -> None:
        # Behind the gradients a number each: whether this process has one.
        there = torch.tensor([float(p.grad is not None) for p in parameters]).to(parameters[0])
        flat = torch.cat([*((torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters), there])
        for p in parameters:
            p.grad = None
        self._sent.append(_Bucket(parameters, self._hook(flat.div_(self._size), self._group)))

    def _take(self, bucket: _Bucket) -> None:
        found = bucket.future.wait()
        flat: Tensor = found[0] if isinstance(found, (list, tuple)) else found
        *gradients, there = flat.split([*(p.numel() for p in bucket.parameters), len(bucket.parameters)])
        for parameter, gradient, share in zip(bucket.parameters, gradients, there.tolist(), strict=True):
            if parameter.grad is not None:
                self._refuse(parameter)
            if share:
                parameter.grad = gradient.view_as(parameter)
                self._averaged[parameter] = _State(weakref.ref(parameter.grad), parameter.grad._version)

    def _refuse(self, parameter: nn.Parameter) -> None:
        raise RuntimeError(
            f'{self._names[parameter]}: a loss reached it after its gradient was sent to the other processes, '
            'so their weights would differ'
        )
