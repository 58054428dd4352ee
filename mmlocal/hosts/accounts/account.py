"""How many images and objects were read, and for what reasons some of them are not used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ['Account', 'Dropped', 'Tally']

_RECORDS = 3


@dataclass
class Dropped:
    """What one reason drops: how many, and the first three records, in words."""

    count: int
    first: list[str]


@dataclass
class Tally:
    """Images, or objects.

    Attributes:
        read: how many there are in the annotation file or the folder.
        kept: how many the dataset has kept.
        dropped: by reason, what it has not kept or does not learn from.
    """

    read: int
    kept: int
    dropped: dict[str, Dropped] = field(default_factory=dict)

    def drop(self, reason: str, records: Sequence[str], count: int | None = None) -> None:
        """Note that `records` are dropped for `reason`; nothing where there are none.

        Args:
            reason: why, as the rest of a sentence.
            records: in words; the first three are kept.
            count: how many there are, where `records` has only the first.
        """
        count = len(records) if count is None else count
        if count:
            self.dropped[reason] = Dropped(count, list(records[:_RECORDS]))

    def balance(self, reason: str) -> None:
        """What no known reason explains gets `reason`, so that read is kept and dropped together."""
        rest = self.read - self.kept - sum(one.count for one in self.dropped.values())
        if rest > 0:
            self.drop(reason, [], rest)


@dataclass
class Account:
    """What a dataset has read, kept and dropped.

    Attributes:
        images: None where they are not counted.
        objects: None where samples have none.
        notes: what is kept and yet odd, each as the rest of a sentence.
        faults: what cannot be meant; places are relative to the dataset's.
    """

    images: Tally | None = None
    objects: Tally | None = None
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def tallies(self) -> Iterator[tuple[str, Tally]]:
        """Those that there are, each with what it counts."""
        yield from ((name, one) for name, one in (('images', self.images), ('objects', self.objects)) if one)

    def lines(self, place: str) -> list[str]:
        """A sentence a reason, and a sentence a note.

        Example:
            >>> account = Account(images=Tally(read=4, kept=3))
            >>> account.images.drop('they have no object', ['a.jpg'])
            >>> account.lines('train_dataloader.dataset')
            ['train_dataloader.dataset: 1 of 4 images is not used: they have no object (a.jpg)']
        """
        found = [
            f'{place}: {one.count} of {tally.read} {name} {"is" if one.count == 1 else "are"} not used: '
            f'{reason}{_examples(one)}'
            for name, tally in self.tallies()
            for reason, one in tally.dropped.items()
        ]
        return found + [f'{place}: {note}' for note in self.notes]


def _examples(dropped: Dropped) -> str:
    if not dropped.first:
        return ''
    more = ', …' if dropped.count > len(dropped.first) else ''
    return f' ({", ".join(dropped.first)}{more})'
