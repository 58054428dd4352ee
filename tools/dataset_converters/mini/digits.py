"""Handwritten digits: which ones a split may use, and how one is painted onto an image.

Size letters of the shapes: H = W, the image's side in pixels.
"""

import colorsys
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from .photos import SPLITS, Split

CLASSES = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')
TRAIN_SHARE = 0.8
EDGE = 0.45
"""Ink at which a digit ends: lower closes the loops of an eight, higher breaks thin strokes."""

Float = NDArray[np.float32]


@cache
def handwriting() -> tuple[Float, NDArray[np.int64]]:
    """Ink of every digit from 0 to 1, (1797, 8, 8), and its label, (1797,)."""
    digits = load_digits()
    return digits.images.astype(np.float32) / 16, digits.target.astype(np.int64)


def split_digits(split: Split) -> range:
    """Indices into `load_digits` that a split may use; the splits share none.

    The cut is contiguous: neighbours come from the same writers, which a shuffle would put on both sides.

    Raises:
        ValueError: `split` is neither 'train' nor 'val'.

    Example:
        >>> split_digits('train'), split_digits('val')
        (range(0, 1437), range(1437, 1797))
    """
    if split not in SPLITS:
        raise ValueError(f'split = {split!r} is not one of {", ".join(map(repr, SPLITS))}')
    total = len(handwriting()[1])
    cut = int(total * TRAIN_SHARE)
    return range(cut) if split == 'train' else range(cut, total)


def outline_of(alpha: Float) -> Float:
    """Opacity of a soft rim around a digit, (H, W)."""
    radius = max(1, len(alpha) // 64)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.GaussianBlur(cv2.dilate(alpha, disc), (0, 0), radius / 2).astype(np.float32, copy=False)


def paint(image: Float, hue: float, ink: Float, alpha: Float, outline: Float) -> Float:
    """Paint a light digit with a dark rim where the image is dark, and the other way round."""
    dark = np.average(image.mean(axis=2), weights=alpha) < 128
    rim = 0.0 if dark else 255.0
    tint = 255 * np.array(colorsys.hls_to_rgb(hue % 1, 0.8 if dark else 0.2, 1.0), np.float32)
    # Thin ink stays paler: loops and strokes that run together at 8 x 8 pixels can be told apart.
    strength = 0.5 + 0.5 * np.clip((ink - EDGE) / (1 - EDGE), 0, 1)[..., None]
    rimmed = image + (rim - image) * outline[..., None]
    return np.asarray(rimmed + (rim + (tint - rim) * strength - rimmed) * alpha[..., None], np.float32)
