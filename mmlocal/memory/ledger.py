"""A book of every tensor's bytes, from its making to its end."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmlocal.memory.workspace import workspace_bytes

__all__ = ['Entry', 'Ledger']


@dataclass(eq=False)
class Entry:
    """Bytes that were made by one operation.

    Args:
        nbytes: of the storage.
        made_by: the operation (`aten.convolution`).
        shape: of the tensor that was made with it.
        label: what was going on: the names of `torch.profiler.record_function`, the innermost last.
        kind: `activation`, `gradient` of a parameter, `optimizer` state, or `workspace` within an operation.
    """

    nbytes: int
    made_by: str
    shape: tuple[int, ...]
    label: tuple[str, ...]
    kind: str = 'activation'


class Ledger(TorchDispatchMode):
    """Notes what is allocated and freed while it is on, of real tensors and of fake ones.

    Storages that were there before are left out, as `PeakMeter` leaves them out. What a kernel allocates and frees
    inside of one operation is taken from `workspace_bytes`.

    Example:
        >>> import torch
        >>> with Ledger() as ledger:
        ...     doubled = torch.ones(1024, 1024) * 2
        >>> ledger.peak_bytes // 2**20
        8

    Args:
        *watched: models and optimizers, whose gradients and states get their kind.
    """

    def __init__(self, *watched: nn.Module | Optimizer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.events: list[tuple[int, Entry]] = []
        # Where `record_function` begins and ends, as an index into the events.
        self.marks: list[tuple[int, str, bool]] = []
        self._known: dict[int, Entry] = {}
        self._label: list[str] = []
        self._watched = watched
        self._handles: list[Any] = []

    def __enter__(self) -> Ledger:
        """Begin the book."""
        for one in self._watched:
            if isinstance(one, nn.Module):
                self._handles += [
                    p.register_post_accumulate_grad_hook(self._is_gradient) for p in one.parameters() if p.requires_grad
                ]
            else:
                self._handles += [
                    one.register_step_pre_hook(lambda *_: self._label.append('optimizer')),
                    one.register_step_post_hook(lambda *_: self._label.remove('optimizer')),
                ]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        """Close the book."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, and note what it made."""
        name = str(func).rpartition('.')[0]
        if name.startswith('profiler.'):
            return self._marked(name, func, args, kwargs or {})
        for tensor in _tensors((args, kwargs)):
            if (key := _key(tensor)) not in self._known:
                self._known[key] = Entry(0, 'before', (), ())
                weakref.finalize(tensor.untyped_storage(), self._known.pop, key, None)
        output = func(*args, **(kwargs or {}))
        for tensor in _tensors(output):
            if _key(tensor) not in self._known:
                self._note(tensor, name)
        extra = workspace_bytes(name, args, output)
        if extra:
            entry = Entry(extra, name, (), tuple(self._label), 'workspace')
            self.events += [(extra, entry), (-extra, entry)]
        return output

    def _marked(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`record_function` begins and ends."""
        if 'enter' in name:
            self._label.append(str(args[0]))
            self.marks.append((len(self.events), self._label[-1], True))
        elif self._label:
            self.marks.append((len(self.events), self._label.pop(), False))
        return func(*args, **kwargs)

    def _note(self, tensor: Tensor, name: str) -> None:
        storage = tensor.untyped_storage()
        kind = 'optimizer' if 'optimizer' in self._label else 'activation'
        entry = Entry(storage.nbytes(), name, tuple(tensor.shape), tuple(self._label), kind)
        self._known[_key(tensor)] = entry
        self.events.append((entry.nbytes, entry))
        weakref.finalize(storage, self._gone, _key(tensor))

    def _gone(self, key: int) -> None:
        entry = self._known.pop(key, None)
        if entry is not None:
            self.events.append((-entry.nbytes, entry))

    def _is_gradient(self, parameter: Tensor) -> None:
        entry = self._known.get(_key(parameter.grad)) if parameter.grad is not None else None
        if entry is not None:
            entry.kind = 'gradient'

    @property
    def live_bytes(self) -> list[int]:
        """Bytes that are live after each event."""
        return list(accumulate((change for change, _ in self.events), initial=0))

    @property
    def peak_bytes(self) -> int:
        """The largest number of bytes that were live at a time."""
        return max(self.live_bytes)

    def at_peak(self) -> list[Entry]:
        """What was live at the peak, the largest first."""
        live = self.live_bytes
        alive: dict[Entry, None] = {}
        for change, entry in self.events[: live.index(max(live))]:
            if change > 0:
                alive[entry] = None
            else:
                alive.pop(entry, None)
        return sorted(alive, key=lambda entry: -entry.nbytes)


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
