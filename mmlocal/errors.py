"""What a user is told when a config or a file is wrong: all faults at once, each with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

__all__ = ['ConfigError', 'Faults', 'nearest']


class ConfigError(ValueError):
    """One or several faults of a config; `faults` holds a sentence each.

    Example:
        >>> str(ConfigError('reach = 0 is below 1', 'arch is missing'))
        'reach = 0 is below 1\\narch is missing'
    """

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__('\n'.join(faults))


class Faults:
    """Collects faults so that they are reported together.

    Example:
        >>> faults = Faults()
        >>> with faults.under('model'):
        ...     raise ConfigError('reach = 0 is below 1')
        >>> faults.found
        ['model.reach = 0 is below 1']
    """

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextmanager
    def under(self, place: str) -> Iterator[None]:
        """Collect the faults raised inside, their places put under `place`."""
        try:
            yield
        except ConfigError as error:
            self.add(place, error.faults)

    def add(self, place: str, faults: Iterable[str]) -> None:
        """Add faults whose places are relative to `place`; one that begins with `[` is an index into it."""
        for fault in faults:
            joined = f'{place}{fault}' if fault.startswith(('[', ' ')) else f'{place}.{fault}'
            if joined not in self.found:
                self.found.append(joined)

    def report(self) -> None:
        """Raise what was found.

        Raises:
            ConfigError: with every fault collected so far, if there is any.
        """
        if self.found:
            raise ConfigError(*self.found)


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint for a mistyped name, or nothing when no known name is near.

    Example:
        >>> nearest('layer5.0', ['layer3.0', 'layer4.0', 'stem'])
        " Did you mean 'layer4.0'?"
    """
    close = difflib.get_close_matches(name, known, n=len(known), cutoff=0.6)
    # Of equally close names the last is taken: 'layer5.0' is more often a slip for layer4 than for layer1.
    scores = [difflib.SequenceMatcher(None, name, other).ratio() for other in close]
    best = [other for other, score in zip(close, scores, strict=True) if score == max(scores)]
    return f' Did you mean {max(best)!r}?' if best else ''
