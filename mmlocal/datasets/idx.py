"""The file format of MNIST and its kin: IDX (http://yann.lecun.com/exdb/mnist), plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmlocal.errors import ConfigError, reason

__all__ = ['read_idx']

_GZIP = b'\x1f\x8b'
_UNSIGNED_BYTE = 8


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of bytes in an IDX file, in the shape that the file states.

    Args:
        path: of the file; whether it is gzipped is read from its first bytes, not from its name.

    Raises:
        ConfigError: if the file is no IDX file of unsigned bytes, or is not whole.
    """
    content = path.read_bytes()
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ConfigError(f'{str(path)!r} is broken: {reason(error)}. Get it again') from error
    # Two zeros, the type of the numbers, how many sizes follow; each size in four bytes, the highest first.
    if len(content) < 4 or content[:2] != b'\0\0' or content[2] != _UNSIGNED_BYTE:
        raise ConfigError(f'{str(path)!r} is no IDX file of unsigned bytes (it begins with {content[:4].hex()!r})')
    begin = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:begin], '>u4'))
    if len(content) != begin + math.prod(shape):
        raise ConfigError(
            f'{str(path)!r} is broken: {len(content) - begin} bytes for {"x".join(map(str, shape))} numbers. '
            'Get it again'
        )
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)
