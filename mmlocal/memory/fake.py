"""Running a model without its numbers: shapes and bytes of a step that no machine here could hold."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch._subclasses.fake_tensor import unset_fake_temporarily as real_tensors
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from mmlocal.hosts.operations import has_operations
from mmlocal.randomness import undisturbed

__all__ = ['fake_step', 'make_fake']

_BYTES_OF_A_REAL_TENSOR = 2**20
# The mmcv operations whose result has a size that depends on the numbers; all others fill what they are given.
_BY_VALUE = ('nms', 'softnms', 'nms_match', 'nms_rotated', 'nms_quadri')


@contextmanager
def fake_step() -> Iterator[FakeTensorMode]:
    """Tensors made inside have shapes and no numbers, but for small ones that targets are made of.

    Boxes, labels and anchors keep their numbers, so that they are assigned as in training. Where a size depends on
    numbers that are not there (non-maximum suppression, positives of a prediction), a draw of random ones is taken.
    """
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with undisturbed(), _mmcv_forms(), fake, _Hybrid(fake):
        yield fake


def make_fake(module: nn.Module, fake: FakeTensorMode) -> None:
    """Replace a module's parameters and buffers by fake ones; what is shared stays shared."""
    made: dict[int, Any] = {}

    def fake_of(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            # The original is held, so that its id is not another's later.
            made[id(tensor)] = (tensor, fake.from_tensor(tensor))
        fake_one: Tensor = made[id(tensor)][1]
        return fake_one

    for part in module.modules():
        tensors: list[dict[str, Any]] = [part._parameters, part._buffers]
        for kept in tensors:
            kept.update({name: fake_of(tensor) for name, tensor in kept.items() if tensor is not None})


class _Hybrid(TorchDispatchMode):
    """Small tensors stay real until they meet a fake one; data-dependent operations draw numbers."""

    def __init__(self, fake: FakeTensorMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fake = fake

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if not any(isinstance(tensor, FakeTensor) for tensor in tensors):
            with self.fake:
                planned = _bytes(func(*args, **kwargs)) if not tensors else 0
            if planned <= _BYTES_OF_A_REAL_TENSOR:
                with real_tensors():
                    return func(*args, **kwargs)
        try:
            with self.fake:
                output = func(*args, **kwargs)
        except (DynamicOutputShapeException, DataDependentOutputException):
            drawn = tree_map(_drawn, (args, kwargs))
            with real_tensors():
                return func(*drawn[0], **drawn[1])
        # What is changed in place stays what it is; its numbers are not right, and nobody asks for them.
        written = func._schema.arguments if hasattr(func, '_schema') else ()
        if (
            written
            and written[0].alias_info is not None
            and written[0].alias_info.is_write
            and isinstance(args[0], Tensor)
        ):
            return args[0]
        return output


def _bytes(output: Any) -> int:
    return sum(leaf.numel() * leaf.element_size() for leaf in tree_leaves(output) if isinstance(leaf, Tensor))


def _drawn(leaf: Any) -> Any:
    """Numbers in place of a fake tensor's, the same for the same shape: of whole ones every other is 1, else 0 to 1."""
    if not isinstance(leaf, FakeTensor):
        return leaf
    with _disable_current_modes():
        if leaf.dtype.is_floating_point:
            return torch.rand(leaf.shape, generator=torch.Generator().manual_seed(0)).to(leaf.dtype)
        return (torch.arange(leaf.numel()) % 2).reshape(leaf.shape).to(leaf.dtype)


@contextmanager
def _mmcv_forms() -> Iterator[None]:
    """mmcv's compiled operations, which know no fake tensors, replaced while this is on."""
    if has_operations():
        importlib.import_module('mmcv.ops')
    modules = [m for name, m in sys.modules.items() if name.startswith('mmcv.ops.') and hasattr(m, 'ext_module')]
    kept = [(module, module.ext_module) for module in modules]
    for module, compiled in kept:
        module.ext_module = _Forms(compiled)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module, compiled in kept:
            module.ext_module = compiled  # type: ignore[attr-defined]


class _Forms:
    """Stands for mmcv's compiled module: outputs are allocated by its callers, so there is nothing to fill."""

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = getattr(self.compiled, name)

        def form(*args: Any, **kwargs: Any) -> Any:
            if not any(isinstance(leaf, FakeTensor) for leaf in tree_leaves((args, kwargs))):
                return operation(*args, **kwargs)
            if name not in _BY_VALUE:
                return None
            drawn = tree_map(_drawn, (args, kwargs))
            with _disable_current_modes():
                return operation(*drawn[0], **drawn[1])

        return form
