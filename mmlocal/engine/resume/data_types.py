"""What a checkpoint of others may hold beside weights: data, restored by code of ours and not as the file says.

Unpickling numpy's own types hands them states of the file's making, which can damage memory, and mmengine's
`HistoryBuffer` changes its class by them. So each has a stand-in here, which takes the values and nothing else.
"""

from __future__ import annotations

import argparse
import math
import pickle
import re
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.logging import HistoryBuffer

__all__ = ['DATA_TYPES']

# Truth values, numbers and text. Not 'O': its elements would be addresses.
_PLAIN = re.compile(r'[biufcSU]\d+')
_OF_HISTORY = ('min', 'max', 'mean', 'current')


def _refuse(name: str) -> pickle.UnpicklingError:
    # In torch's words, by which the reader finds the name.
    return pickle.UnpicklingError(f'GLOBAL {name} was not an allowed global')


class _DType:
    """Stands in for `numpy.dtype`: a kind with a size, and the order of bytes."""

    def __init__(self, name: Any = '', *_: Any) -> None:
        if not isinstance(name, str) or not _PLAIN.fullmatch(name):
            raise _refuse('numpy.dtype')
        self.real = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ('<', '>', '|', '='):
            raise _refuse('numpy.dtype')
        self.real = self.real.newbyteorder(state[1])

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.real.__reduce__()


class _Array(np.ndarray[Any, Any]):
    """Stands in for `numpy.ndarray`, and is one; numpy checks its shape by the bytes there are.

    It takes its values once: numpy frees the memory of those before, which a tensor in the file may look at.
    """

    _filled = False

    def __new__(cls, *_: Any) -> _Array:
        return super().__new__(cls, (0,), 'b')

    def __setstate__(self, state: Any, /) -> None:
        _, shape, dtype, fortran, data = state
        if self._filled or not isinstance(dtype, _DType) or not isinstance(data, bytes):
            raise _refuse('numpy.ndarray')
        self._filled = True
        sizes = tuple(int(size) for size in shape)
        if min(sizes, default=0) < 0 or math.prod(sizes) * dtype.real.itemsize != len(data):
            raise _refuse('numpy.ndarray')
        super().__setstate__((1, sizes, dtype.real, bool(fortran), data))  # type: ignore[arg-type]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return np.array(self, subok=False).__reduce_ex__(protocol)


def _array(*_: Any) -> _Array:
    return _Array()


def _no_bytes() -> bytes:
    """Stands in for `bytes`, which pickle calls for none at all."""
    return b''


def _scalar(dtype: Any, data: Any = b'') -> Any:
    if not isinstance(dtype, _DType) or not isinstance(data, bytes) or len(data) != dtype.real.itemsize:
        raise _refuse('numpy.core.multiarray.scalar')
    return np.frombuffer(data, dtype.real)[0] if data else dtype.real.type()  # an empty text


class _History(HistoryBuffer):
    """Stands in for mmengine's `HistoryBuffer`, and is one, whose methods stay those of its class.

    It takes arrays alone: of other objects numpy would ask for their address, which is then the file's to choose.
    """

    def __init__(self, history: Any = (), counts: Any = (), max_length: Any = 10**6) -> None:
        if not all(isinstance(values, _Array) for values in (history, counts)):
            raise _refuse('mmengine.logging.history_buffer.HistoryBuffer')
        super().__init__(np.array(history, subok=False), np.array(counts, subok=False), int(max_length))

    def __setstate__(self, state: Any) -> None:
        self.__init__(state['_log_history'], state['_count_history'], state['max_length'])  # type: ignore[misc]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return HistoryBuffer, (self._log_history, self._count_history, self.max_length)


def _name_of_history(owner: Any = None, name: Any = None, *_: Any) -> str:
    """Stands in for `getattr`, by which a `HistoryBuffer` names its methods: they are not taken from a file."""
    if owner is not _History or name not in _OF_HISTORY:
        raise _refuse('builtins.getattr')
    return str(name)


class _Config(Config):
    """Stands in for mmengine's `Config`, which reads files when it is made."""

    def __new__(cls, *_: Any) -> _Config:
        return object.__new__(cls)

    def __init__(self, *_: Any) -> None:
        pass

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Config, (), self.__getstate__()


_OF_NUMPY = [
    (made, f'numpy.{core}.multiarray.{name}')
    for core in ('core', '_core')
    for made, name in ((_array, '_reconstruct'), (_scalar, 'scalar'))
]

# As torch wants them: what is called, and the name in the file.
DATA_TYPES: list[Any] = [
    *_OF_NUMPY,
    (_DType, 'numpy.dtype'),
    (_Array, 'numpy.ndarray'),
    (_History, 'mmengine.logging.history_buffer.HistoryBuffer'),
    (_name_of_history, 'builtins.getattr'),
    (_Config, 'mmengine.config.config.Config'),
    (ConfigDict, 'mmengine.config.config.ConfigDict'),
    (argparse.Namespace, 'argparse.Namespace'),
    (slice, 'builtins.slice'),
    (_no_bytes, 'builtins.bytes'),
]
