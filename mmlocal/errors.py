"""What a user is told when a config or a file is wrong: all faults at once, each with its place."""

from __future__ import annotations

import difflib
import errno
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    'ConfigError',
    'Faults',
    'NonFiniteLossError',
    'is_of_disk',
    'nearest',
    'origin',
    'reason',
    'root_of',
    'similar',
]

_LONGEST_REASON = 200
_DISK = (errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS)


class ConfigError(ValueError):
    """One or several faults of a config; `faults` holds a sentence each.

    Example:
        >>> str(ConfigError('reach = 0 is below 1', 'arch is missing'))
        'reach = 0 is below 1\\narch is missing'
    """

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__('\n'.join(faults))


class NonFiniteLossError(FloatingPointError):
    """A loss is no finite number; told by which, where, and with which images."""


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
    def under(self, place: str = '') -> Iterator[None]:
        """Collect the faults raised inside, their places put under `place`, if one is given."""
        try:
            yield
        except ConfigError as error:
            self.add(place, error.faults)

    @contextmanager
    def checking(self, place: str) -> Iterator[None]:
        """As `under`, for looking at a value that may be anything: what that makes a check raise is a fault too."""
        try:
            with self.under(place):
                yield
        except OSError:
            raise
        except Exception as error:  # whatever a value makes somebody raise
            self.add(place, [f' cannot be used: {reason(error)}'])

    def add(self, place: str, faults: Iterable[str]) -> None:
        """Add faults whose places are relative to `place`; one that begins with `[` is an index into it."""
        for fault in faults:
            joined = f'{place}{fault}' if not place or fault.startswith(('[', ' ')) else f'{place}.{fault}'
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
    # Upper and lower case are no difference at all: 'resnet' is nearer to ResNet than to Res2Net.
    scores = {other: difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio() for other in known}
    best = [other for other, score in scores.items() if score >= max(0.6, *scores.values())]
    # Of equally close names the last is taken: 'layer5.0' is more often a slip for layer4 than for layer1.
    return f' Did you mean {max(best)!r}?' if best else ''


def similar(name: str, known: Sequence[str], closeness: float = 0.85) -> str:
    """The known name that `name` is a slip of the pen for, or nothing: much nearer than what `nearest` takes.

    Example:
        >>> similar('optim_wraper', ['optim_wrapper', 'model'])
        'optim_wrapper'
    """
    digits = [c for c in name if c.isdigit()]
    alike = [other for other in known if [c for c in other if c.isdigit()] == digits]
    swapped = [other for other in alike if sorted(other) == sorted(name)]
    near = swapped or difflib.get_close_matches(name, alike, n=1, cutoff=closeness)
    return near[0] if near else ''


def is_of_disk(error: BaseException) -> bool:
    """Whether a disk is full, broken or write-protected: nobody's bug, and no fault of a config."""
    return isinstance(error, OSError) and error.errno in _DISK


def root_of(error: BaseException) -> BaseException:
    """The exception that one of the same type has taken the place of, as mmengine does for those of hooks."""
    before = error.__cause__ or error.__context__
    return root_of(before) if before is not None and type(before) is type(error) else error


def origin(error: BaseException) -> str:
    """File and line that an exception comes from, outside of torch, as something to put behind a sentence.

    Example:
        >>> origin(KeyError('never raised'))
        ''
    """
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, AssertionError) and not str(error):  # `reason` has said it
        return ''
    own = [frame for frame in frames if '/torch/' not in frame.filename] or list(frames)
    return f' ({Path(own[-1].filename).name}, line {own[-1].lineno})' if own else ''


def reason(error: BaseException) -> str:
    """What an exception of other people's code says, in one line.

    An assertion without a text is told by the condition that did not hold.

    Example:
        >>> reason(KeyError('invalid depth 49 for resnet'))
        'KeyError: invalid depth 49 for resnet'
    """
    # str() of a KeyError is the repr of what it says.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    line = ' '.join(text.strip().split('\n')[0].split())
    if not line and isinstance(error, AssertionError) and error.__traceback__:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        condition = str(frame.line).removeprefix('assert ')
        return f'it takes that {condition} ({Path(frame.filename).name}, line {frame.lineno})'
    if len(line) > _LONGEST_REASON:
        line = f'{line[:_LONGEST_REASON]} …'
    return f'{type(error).__name__}: {line}' if line else type(error).__name__
