"""Random state: kept, set again, left alone, and made from a place.

All that training draws comes from the generators that Python, numpy and torch share with everybody. So a check that
draws, or seeds them, changes the training that follows.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device

__all__ = ['Place', 'SeededBatch', 'random_state', 'seed_by_place', 'set_random_state', 'undisturbed']

Place = tuple[object, ...]


def random_state() -> dict[str, Any]:
    """State of this process's generators, in types that `torch.load(weights_only=True)` reads."""
    of_numpy: dict[str, Any] = dict(np.random.get_state(legacy=False))
    key = of_numpy['state'].pop('key')
    state = {
        'python': random.getstate(),
        'numpy': {**of_numpy, 'key': torch.from_numpy(key.astype(np.int64))},
        'torch': torch.get_rng_state(),
    }
    if torch.cuda.is_initialized():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Go on drawing where `random_state` was taken."""
    version, internal, gauss = state['python']
    random.setstate((version, tuple(internal), gauss))
    of_numpy = dict(state['numpy'])
    key = of_numpy.pop('key').cpu().numpy().astype(np.uint32)
    np.random.set_state({**of_numpy, 'state': {**of_numpy['state'], 'key': key}})
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever is drawn or seeded inside, what is drawn behind it stays the same. Also a decorator.

    For all that looks at a run without being a part of it: checks, probes, estimates, plans.

    Example:
        >>> state = torch.get_rng_state()
        >>> with undisturbed():
        ...     _ = torch.manual_seed(0)
        >>> torch.equal(torch.get_rng_state(), state)
        True
    """
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
        if 'cuda' not in state and torch.cuda.is_initialized():
            # Begun inside: back to its beginning.
            torch.cuda.manual_seed(torch.cuda.initial_seed())


def seed_by_place(*place: object) -> None:
    """Seed the generators from where a run is: the same for the same place, and else unlike.

    Args:
        place: whose `repr` tells places apart: numbers, strings, tuples of them.
    """
    digest = hashlib.blake2b(repr(place).encode(), digest_size=8).digest()
    seed = int.from_bytes(digest, 'little')
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if get_device() == 'cpu' or (get_device() == 'cuda' and not torch.cuda.is_initialized()):
        # `torch.manual_seed` would note the seed for a GPU that nobody has used, in a hundred times the time.
        torch.default_generator.manual_seed(seed % 2**63)
    else:
        torch.manual_seed(seed % 2**63)


class SeededBatch(list[Any]):
    """A batch's indices; before each is handed out, the generators are seeded by its place.

    torch's fetchers go through a batch once, `[dataset[index] for index in batch]`, in a worker or in the main process.

    Args:
        indices: of the samples.
        places: one for each of them.
    """

    def __init__(self, indices: Iterable[Any], places: Iterable[Place]) -> None:
        super().__init__(indices)
        self.places = list(places)

    def __iter__(self) -> Iterator[Any]:
        for index, place in zip(super().__iter__(), self.places, strict=True):
            seed_by_place(*place)
            yield index

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to a worker without being gone through here, which would seed this process."""
        return SeededBatch, (self[:], self.places)
