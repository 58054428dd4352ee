"""Scenes: handwritten digits, enlarged and tinted, pasted onto crops of photographs.

A scene is tied to no format. Its masks hold the visible pixels only and never overlap, so boxes,
polygons, semantic maps, class labels or plain images all follow from it. Size letters of the
shapes: H = W = `SceneSpec.size`, in pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .digits import EDGE, Float, handwriting, outline_of, paint, split_digits
from .photos import SPLITS, Split, read_photo, shipped_photos

MAX_TRIES = 20
"""Placements tried for one digit before the scene goes without it."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SceneSpec:
    """What scenes look like. Lengths that are fractions keep their look at any `size`.

    Args:
        size: Height and width of a scene in pixels, at least 64.
        heights: Smallest and largest height of a digit, as fractions of `size`.
        max_objects: Most digits in one scene; their number is drawn evenly from 1 to this.
        empty: Share of the scenes that have no digit at all.
        overhang: Largest share of a digit's width or height that may lie beyond the border.
        min_visible: A digit is placed only where it and all earlier ones keep this share visible.
        tilt: Largest rotation of a digit in degrees, either way.

    Raises:
        ValueError: A value is out of range; all such values are named.
    """

    size: int = 128
    heights: tuple[float, float] = (40 / 128, 100 / 128)
    max_objects: int = 4
    empty: float = 0.06
    overhang: float = 0.1
    min_visible: float = 0.75
    tilt: float = 8.0

    def __post_init__(self) -> None:
        allowed = {
            'size': (self.size >= 64, 'at least 64'),
            'heights': (0 < self.heights[0] <= self.heights[1] <= 1, 'rising, above 0, at most 1'),
            'max_objects': (self.max_objects >= 1, 'at least 1'),
            'empty': (0 <= self.empty <= 1, 'from 0 to 1'),
            'overhang': (0 <= self.overhang <= 0.5, 'from 0 to 0.5'),
            'min_visible': (0 < self.min_visible <= 1, 'above 0, at most 1'),
            'tilt': (0 <= self.tilt <= 45, 'from 0 to 45'),
        }
        wrong = [
            f'{name} = {getattr(self, name)} (allowed: {text})' for name, (fine, text) in allowed.items() if not fine
        ]
        if wrong:
            raise ValueError('SceneSpec: ' + '; '.join(wrong))


@dataclass(frozen=True)
class SceneObject:
    """One digit of a scene.

    Args:
        label: Class, an index into `CLASSES`.
        mask: Its visible pixels, (H, W).
        digit: Which handwritten digit it is, an index into scikit-learn's `load_digits`.
        whole_area: Pixels of the digit as if nothing hid it, its part beyond the border included.
        truncated: Whether the border of the image cuts it.
    """

    label: int
    mask: Mask
    digit: int
    whole_area: int
    truncated: bool

    @property
    def area(self) -> int:
        """Number of visible pixels."""
        return int(np.count_nonzero(self.mask))

    @property
    def visible(self) -> float:
        """Share of the whole digit that is visible, above 0 and at most 1."""
        return self.area / self.whole_area

    @property
    def bbox(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the visible pixels, in pixels."""
        x, y, width, height = cv2.boundingRect(self.mask.astype(np.uint8))
        return x, y, width, height


@dataclass(frozen=True)
class Scene:
    """An image and what is in it.

    Args:
        image: RGB, (H, W, 3), uint8.
        objects: The digits, each over those before it; their masks do not overlap.
        photo: File name of the photograph behind them.
    """

    image: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]
    photo: str


def make_scenes(split: Split, count: int, seed: int, spec: SceneSpec | None = None) -> Iterator[Scene]:
    """Scenes one after the other; a scene depends on split, seed, its number and `spec`, not on `count`.

    Args:
        split: 'train' or 'val'.
        count: How many.
        seed: Any integer from 0.
        spec: What they look like.

    Yields:
        `count` scenes.

    Raises:
        ValueError: `split` is unknown or `seed` is negative.
    """
    for number in range(count):
        yield make_scene(np.random.default_rng([seed, SPLITS.index(split), number]), split, spec)


def make_scene(rng: np.random.Generator, split: Split, spec: SceneSpec | None = None) -> Scene:
    """One scene; pure but for advancing `rng`.

    A digit that finds no place within `MAX_TRIES` is left out before it is painted: whatever is
    seen of a digit is labelled.

    Args:
        rng: The only source of chance.
        split: 'train' or 'val', decides which digits and photographs are used.
        spec: What the scene looks like.

    Returns:
        A scene of `spec.size` pixels squared.

    Raises:
        ValueError: `split` is unknown.
    """
    spec = spec or SceneSpec()
    photos = shipped_photos(split)
    photo = photos[rng.integers(len(photos))]
    image = _background(rng, read_photo(photo), spec.size)
    objects: tuple[SceneObject, ...] = ()
    if rng.random() >= spec.empty:
        first_hue = rng.random()
        for _ in range(rng.integers(1, spec.max_objects + 1)):
            digit = int(rng.choice(split_digits(split)))
            image, objects = _add_digit(rng, image, objects, digit, first_hue, spec)
    return Scene(np.rint(image).astype(np.uint8), objects, photo.name)


def _background(rng: np.random.Generator, photo: NDArray[np.uint8], size: int) -> Float:
    """A random square of a photograph, perhaps mirrored, (H, W, 3) from 0 to 255."""
    height, width = photo.shape[:2]
    side = int(rng.integers(min(size, height, width), min(height, width) + 1))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    crop = photo[top : top + side, left : left + side][:, :: rng.choice([1, -1])]
    interpolation = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return cv2.resize(crop, (size, size), interpolation=interpolation).astype(np.float32)


def _add_digit(
    rng: np.random.Generator,
    image: Float,
    objects: tuple[SceneObject, ...],
    digit: int,
    first_hue: float,
    spec: SceneSpec,
) -> tuple[Float, tuple[SceneObject, ...]]:
    """The image and its objects with one more digit on top, or as they were where none fits."""
    for _ in range(MAX_TRIES):
        ink, alpha, added = _place(rng, digit, spec)
        outline = outline_of(alpha)
        hidden = np.maximum(alpha, outline) > 0.5
        after = (*(replace(item, mask=item.mask & ~hidden) for item in objects), added)
        if all(item.visible >= spec.min_visible for item in after):
            # Hues an even step apart, or two digits on each other could read as one.
            hue = first_hue + len(objects) / spec.max_objects
            return paint(image, hue, ink, alpha, outline), after
    return image, objects


def _place(rng: np.random.Generator, digit: int, spec: SceneSpec) -> tuple[Float, Float, SceneObject]:
    """A digit somewhere on an empty canvas: its ink and its opacity, (H, W) from 0 to 1, and the object."""
    inks, labels = handwriting()
    matrix, scale = _pose(rng, inks[digit], spec)
    # On a canvas of three scenes each way, so that what lies beyond the border is counted, too.
    canvas, inner = (3 * spec.size, 3 * spec.size), slice(spec.size, 2 * spec.size)
    whole: Float = np.asarray(cv2.warpAffine(inks[digit], matrix, canvas, flags=cv2.INTER_CUBIC), np.float32)
    whole_area = int(np.count_nonzero(whole > EDGE))
    ink = whole[inner, inner].clip(0, 1)
    mask = ink > EDGE
    # An edge about one pixel wide, at any scale.
    alpha = np.asarray(np.clip(0.5 + (ink - EDGE) * scale, 0, 1), np.float32)
    truncated = int(np.count_nonzero(mask)) < whole_area
    return ink, alpha, SceneObject(int(labels[digit]), mask, digit, whole_area, truncated)


def _pose(rng: np.random.Generator, ink: Float, spec: SceneSpec) -> tuple[NDArray[np.float64], float]:
    """Where a digit goes: 2 x 3 matrix from its 8 x 8 pixels to the canvas, and how much larger it gets."""
    ys, xs = np.nonzero(ink > EDGE)
    box = np.array([np.ptp(xs) + 1, np.ptp(ys) + 1])
    scale = float(rng.uniform(*spec.heights) * spec.size / box[1])
    reach = np.minimum(box * scale * (0.5 - spec.overhang), spec.size / 2)
    middle = (float(xs.min() + xs.max()) / 2, float(ys.min() + ys.max()) / 2)
    tilt = rng.uniform(-spec.tilt, spec.tilt)
    matrix = np.array(cv2.getRotationMatrix2D(middle, tilt, scale), np.float64)
    matrix[:, 2] += rng.uniform(reach, spec.size - reach) + spec.size - np.array(middle)
    return matrix, scale
