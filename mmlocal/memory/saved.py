"""Bytes that a forward keeps for its backward."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

__all__ = ['SavedBytes']


class SavedBytes(saved_tensors_hooks):
    """Counts the bytes that autograd keeps, each storage once, the weights' own left out.

    Example:
        >>> x = torch.ones(256, requires_grad=True)
        >>> with SavedBytes(nn.Identity()) as saved:
        ...     y = x.exp()
        >>> saved.total
        1024

    Args:
        weights: a module whose parameters and buffers are not counted.
    """

    def __init__(self, weights: nn.Module) -> None:
        super().__init__(self._pack, lambda tensor: tensor)
        self._own = {t.untyped_storage().data_ptr() for t in [*weights.parameters(), *weights.buffers()]}
        self._kept: list[dict[int, int]] = [{}]

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._own:
            self._kept[-1][storage.data_ptr()] = storage.nbytes()
        return tensor

    def next_part(self, *_: object) -> None:
        """Count what follows as a part of its own; fits as a forward hook."""
        self._kept.append({})

    @property
    def parts(self) -> list[int]:
        """Bytes of each part."""
        return [sum(part.values()) for part in self._kept]

    @property
    def total(self) -> int:
        """Bytes of all parts together."""
        return sum(self.parts)

    def __enter__(self) -> SavedBytes:  # type: ignore[override]
        """Begin to count, with gradients on."""
        self._grad = torch.enable_grad()
        self._grad.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop counting."""
        super().__exit__(*error)
        self._grad.__exit__(None, None, None)
