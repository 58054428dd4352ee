"""Fashion-MNIST's file layout with a few generated images."""

import gzip

import numpy as np
import pytest

FILES = {'train': (120, 1), 't10k': (20, 2)}


def idx_bytes(array):
    sizes = b''.join(int(size).to_bytes(4, 'big') for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def write_fashion_mnist(folder, compressed):
    """Ten classes in turn; the first pixel of an image is its number, of a test image 200 and its number."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, (count, seed) in FILES.items():
        images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        images[:, 0, 0] = np.arange(count) + (200 if kind == 't10k' else 0)
        for name, array in (
            (f'{kind}-images-idx3-ubyte', images),
            (f'{kind}-labels-idx1-ubyte', np.arange(count) % 10),
        ):
            content = idx_bytes(array)
            path = folder / (f'{name}.gz' if compressed else name)
            path.write_bytes(gzip.compress(content) if compressed else content)
    return folder


@pytest.fixture
def make_fashion_mnist():
    return write_fashion_mnist
