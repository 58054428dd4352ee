"""Plain data in the few types that `torch.load(weights_only=True)` reads, and back."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from torch import Tensor

__all__ = ['NotPlainError', 'PassingError', 'pack', 'same', 'unpack']

_ATOMS = (type(None), bool, int, float, str, bytes)
_FACTORIES = {kind.__name__: kind for kind in (int, float, list, dict, set, bool, str)}
_DEEPEST = 12
# Those of the process are in checkpoints as they are.
_GLOBAL = (np.random.mtrand._rand, torch.default_generator)


class NotPlainError(TypeError):
    """A value that is no plain data."""


class PassingError(Exception):
    """A tensor of an iteration's autograd graph: nothing that is kept."""


def _from_tensor(value: Tensor) -> tuple[Tensor, bool]:
    if value.requires_grad or type(value) is not Tensor:
        raise PassingError
    return value.detach().to('cpu', copy=True), value.device.type == 'cpu'


def _to_tensor(content: tuple[Tensor, bool]) -> Tensor:
    tensor, on_cpu = content
    # What is packed stays as it is.
    return tensor.to('cpu' if on_cpu else get_device(), copy=True)


def _from_array(value: Any) -> Tensor:
    try:
        return torch.from_numpy(value.copy())
    except TypeError as error:  # of texts and objects
        raise NotPlainError from error


def _from_defaultdict(value: defaultdict[Any, Any]) -> list[Any]:
    name = getattr(value.default_factory, '__name__', None)
    if name is not None and _FACTORIES.get(name) is not value.default_factory:
        raise NotPlainError
    return [name, list(value.items())]


def _to_defaultdict(content: list[Any]) -> defaultdict[Any, Any]:
    name, items = content
    return defaultdict(_FACTORIES.get(name), items)


def _to_python_random(content: Any) -> random.Random:
    made = random.Random()
    made.setstate(content)
    return made


def _to_numpy_random(content: Any) -> np.random.RandomState:
    made = np.random.RandomState()
    made.set_state(content)
    return made


def _to_numpy_generator(content: dict[str, Any]) -> np.random.Generator:
    bits = getattr(np.random, content['bit_generator'])()
    bits.state = content
    return np.random.Generator(bits)


def _to_torch_generator(content: Tensor) -> torch.Generator:
    made = torch.Generator()
    made.set_state(content)
    return made


def _from_torch_generator(value: torch.Generator) -> Tensor:
    if value.device.type != 'cpu':
        raise NotPlainError
    return value.get_state()


# For each type: what it is made of, which is packed in turn, and the way back. Subclasses are not plain.
_KINDS: dict[type, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    tuple: (list, tuple),
    # In one order, for two that are equal to look alike.
    set: (lambda value: sorted(value, key=repr), set),
    frozenset: (lambda value: sorted(value, key=repr), frozenset),
    dict: (lambda value: list(value.items()), dict),
    OrderedDict: (lambda value: list(value.items()), OrderedDict),
    Counter: (lambda value: list(value.items()), lambda content: Counter(dict(content))),
    defaultdict: (_from_defaultdict, _to_defaultdict),
    deque: (lambda value: [value.maxlen, list(value)], lambda content: deque(content[1], content[0])),
    torch.Size: (list, torch.Size),
    np.ndarray: (_from_array, lambda content: content.cpu().numpy().copy()),
    random.Random: (lambda value: value.getstate(), _to_python_random),
    np.random.RandomState: (lambda value: value.get_state(legacy=False), _to_numpy_random),
    np.random.Generator: (lambda value: value.bit_generator.state, _to_numpy_generator),
    torch.Generator: (_from_torch_generator, _to_torch_generator),
}
_BY_NAME = {kind.__name__ + ' of ' + kind.__module__: kind for kind in _KINDS}
_NAMES = {kind: name for name, kind in _BY_NAME.items()}


def pack(value: Any, depth: int = 0) -> Any:
    """A copy of plain data as numbers, texts, tensors, lists, and pairs of a type's name and its content.

    Raises:
        NotPlainError: if it is something else.
        PassingError: if it is, or holds, a tensor that gradients flow through.

    Example:
        >>> pack({'a': (1, 2.5)})
        ('dict of builtins', [('tuple of builtins', ['a', ('tuple of builtins', [1, 2.5])])])
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if depth > _DEEPEST:
        raise NotPlainError
    if kind is list:
        return [pack(one, depth + 1) for one in value]
    if isinstance(value, Tensor):
        return 'tensor', *_from_tensor(value)
    if isinstance(value, np.generic):
        return 'scalar', value.dtype.str, pack(value.item(), depth + 1)
    if kind not in _KINDS or any(value is one for one in _GLOBAL):
        raise NotPlainError
    content = _KINDS[kind][0](value)
    return _NAMES[kind], content if kind is np.ndarray or kind is torch.Generator else pack(content, depth + 1)


def unpack(packed: Any) -> Any:
    """What `pack` was given, as a copy."""
    if isinstance(packed, list):
        return [unpack(one) for one in packed]
    if not isinstance(packed, tuple):
        return packed
    name, *content = packed
    if name == 'tensor':
        return _to_tensor((content[0], content[1]))
    if name == 'scalar':
        return np.dtype(content[0]).type(content[1])
    inner = content[0]
    return _KINDS[_BY_NAME[name]][1](inner.cpu() if isinstance(inner, Tensor) else unpack(inner))


def same(a: Any, b: Any) -> bool:
    """Whether two packed values, or dicts of such, are equal to the bit; a NaN is equal to a NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor):
        # On one device, with one type and shape, and NaN where the other has it.
        return a.dtype == b.dtype and a.shape == b.shape and torch.allclose(a, b, 0, 0, equal_nan=True)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or (a != a and b != b)
