"""What is drawn for a sample depends on where the sample is in the run, and on nothing else.

The batches of indices that a data loader hands to whoever fetches the samples carry the places of their samples,
and seed that process right before each sample is fetched. So it does not matter which process it is, how it was
started, what it has fetched before, or which wrappers of datasets an index goes through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from mmlocal.randomness import Place, SeededBatch, seed_by_place

__all__ = ['SeededBatches', 'VisitedIndex', 'seed_batches', 'unseeded']


class VisitedIndex(int):
    """An index into a dataset that knows how often it was asked for before."""

    visit: int

    def __new__(cls, index: int, visit: int = 0) -> VisitedIndex:
        made = super().__new__(cls, index)
        made.visit = visit
        return made


class SeededBatches:
    """A batch sampler whose batches carry places: seed, process, epoch, pass, sample, and its visit in the pass.

    A visit is told by the index, where that knows (`CountedSampler`), or counted. Everything else is asked of the
    batch sampler that it is made of.

    Args:
        batches: the batch sampler.
        run: what tells this process of this run from others: the seed and the rank.
    """

    def __init__(self, batches: Any, run: tuple[int, ...]) -> None:
        self.batches = batches
        self.run = run
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """An epoch begins; in a loop by iterations, for which all training is one, there are several passes in it."""
        self._epoch, self._passes = epoch, 0

    def __iter__(self) -> Iterator[SeededBatch]:
        # A pass counts when its first batch is asked for: torch makes iterators that it does not use.
        where = (*self.run, self._epoch, self._passes)
        self._passes += 1
        visits: Counter[Any] = Counter()
        for batch in self.batches:
            placed = [self._placed(index, where, visits) for index in batch]
            yield SeededBatch([index for index, _ in placed], [place for _, place in placed])

    def _placed(self, index: Any, where: Place, visits: Counter[Any]) -> tuple[Any, Place]:
        if isinstance(index, VisitedIndex):
            return int(index), (*where, int(index), index.visit)
        key = index if isinstance(index, int) else repr(index)
        visits[key] += 1
        return index, (*where, index, visits[key] - 1)

    def __len__(self) -> int:
        return len(self.batches)

    def __getattr__(self, name: str) -> Any:
        if name == 'batches':  # not there yet: in a copy
            raise AttributeError(name)
        return getattr(self.batches, name)


class _Together:
    """`__getitems__` of a dataset that fetches a whole batch: it need not go through the indices one by one."""

    def __init__(self, fetch: Callable[[SeededBatch], Any]) -> None:
        self.fetch = fetch

    def __call__(self, batch: SeededBatch) -> Any:
        seed_by_place(*batch.places)
        return self.fetch(batch)


def unseeded(loader: DataLoader[Any]) -> str:
    """Why the samples of a loader cannot be seeded by their places; nothing where they can."""
    if isinstance(loader.dataset, IterableDataset):
        return f'{type(loader.dataset).__name__} has no indices'
    if loader.batch_sampler is None:
        return 'batch_size = None'
    return ''


def seed_batches(loader: DataLoader[Any], *run: int) -> SeededBatches | None:
    """Let a loader's samples draw by their places; nothing is done where they cannot.

    Args:
        loader: whose iterators are still to be made.
        run: the seed and the rank.
    """
    if unseeded(loader):
        return None
    if isinstance(loader.batch_sampler, SeededBatches):  # trained before; workers that persist know this one
        loader.batch_sampler.run = run
        return loader.batch_sampler
    seeded = SeededBatches(loader.batch_sampler, run)
    # A loader does not let its parts be replaced, and hosts' hooks hold on to the loader.
    object.__setattr__(loader, 'batch_sampler', seeded)
    together = getattr(loader.dataset, '__getitems__', None)
    if together:
        loader.dataset.__getitems__ = _Together(together)  # type: ignore[attr-defined]
    return seeded
