"""One value of a config made wrong, or merely other: by which a check of configs is tried."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ['KINDS', 'Mutation', 'draw', 'places']

Path = tuple[str | int, ...]
_MISSING = object()
# Of lists; and lists of numbers that only pictures need.
_FIRST, _LONG = 4, ('palette',)


@dataclass(frozen=True)
class Mutation:
    """One change of one config.

    Attributes:
        kind: of `KINDS`.
        path: of what is changed, from the top of the config.
        before, after: the value; of a changed key, what is under it stays and `after` is the new key.
    """

    kind: str
    path: Path
    before: Any
    after: Any

    def apply(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A changed copy of a config that has the same value at the same place.

        Raises:
            LookupError: if it does not.
        """
        changed = copy.deepcopy(dict(config))
        *path, last = self.path
        holder: Any = changed
        try:
            for name in path:
                holder = holder[name]
            is_there = repr(holder[last]) == repr(self.before)
        except (TypeError, LookupError):  # no dict or list, or one without it
            is_there = False
        if not is_there:
            raise LookupError(f'{self.place} is not {self.before!r}')
        _change(self, holder, last)
        return changed

    @property
    def place(self) -> str:
        """The path as it is written in a config."""
        return ''.join(f'[{name}]' if isinstance(name, int) else f'.{name}' for name in self.path).lstrip('.')

    def __str__(self) -> str:
        shown = {name: _short(value) for name, value in (('before', self.before), ('after', self.after))}
        return f'{self.kind}: {self.place}: {shown["before"]} -> {shown["after"]}'


def _short(value: Any) -> str:
    text = 'nothing' if value is _MISSING else repr(value)
    return text if len(text) < 60 else f'{text[:57]}...'


def _change(mutation: Mutation, holder: Any, last: str | int) -> None:
    if mutation.kind == 'delete':
        del holder[last]
    elif mutation.kind == 'misspell' and mutation.after != mutation.before and _is_key(mutation):
        holder[mutation.after[1]] = holder.pop(last)
    elif mutation.kind == 'swapped' and isinstance(mutation.after, tuple) and mutation.after[:1] == ('with',):
        other = mutation.after[1]
        holder[last], holder[other] = holder[other], holder[last]
    else:
        holder[last] = copy.deepcopy(mutation.after)


def _is_key(mutation: Mutation) -> bool:
    return isinstance(mutation.after, tuple) and mutation.after[:1] == ('key',)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _misspelt(rng: random.Random, text: str) -> str:
    """A letter doubled, lost, or exchanged with the next."""
    i = rng.randrange(len(text) - 1)
    ways = [text[:i] + text[i] + text[i:], text[:i] + text[i + 1 :], text[:i] + text[i + 1] + text[i] + text[i + 2 :]]
    return next((way for way in rng.sample(ways, 3) if way != text), text + text[-1])


def _delete(rng: random.Random, holder: Any, key: str | int) -> Any:
    return _MISSING


def _misspell(rng: random.Random, holder: Any, key: str | int) -> Any:
    value = holder[key]
    texts = isinstance(value, str) and len(value) > 2
    if isinstance(key, str) and len(key) > 2 and not (texts and rng.random() < 0.5):
        return 'key', _misspelt(rng, key)
    return _misspelt(rng, value) if texts else None


def _wrong_type(rng: random.Random, holder: Any, key: str | int) -> Any:
    value = holder[key]
    if isinstance(value, (str, bool)) or value is None:
        return rng.choice([7, [1, 2], dict(a=1)])
    return rng.choice(['seven', dict(a=1) if not isinstance(value, Mapping) else [1, 2], True])


def _none(rng: random.Random, holder: Any, key: str | int) -> Any:
    return None if holder[key] is not None else _MISSING


def _negative(rng: random.Random, holder: Any, key: str | int) -> Any:
    return -abs(holder[key]) or -1 if _is_number(holder[key]) else None


def _zero(rng: random.Random, holder: Any, key: str | int) -> Any:
    return 0 if _is_number(holder[key]) else None


def _huge(rng: random.Random, holder: Any, key: str | int) -> Any:
    if not _is_number(holder[key]) or key == 'num_workers':  # which would start as many processes
        return None
    return (holder[key] or 1) * 10 ** rng.choice([3, 6, 9])


def _float_for_int(rng: random.Random, holder: Any, key: str | int) -> Any:
    value = holder[key]
    return value + rng.choice([0.0, 0.5]) if _is_number(value) and isinstance(value, int) else None


def _nan(rng: random.Random, holder: Any, key: str | int) -> Any:
    return rng.choice([float('nan'), float('inf')]) if _is_number(holder[key]) else None


def _swapped(rng: random.Random, holder: Any, key: str | int) -> Any:
    value = holder[key]
    if isinstance(value, (list, tuple)) and list(value[::-1]) != list(value):
        return value[::-1]
    if not isinstance(holder, Mapping):
        return None
    others = [name for name, other in holder.items() if type(other) is type(value) and repr(other) != repr(value)]
    return ('with', rng.choice(others)) if others else None


def _empty(rng: random.Random, holder: Any, key: str | int) -> Any:
    value = holder[key]
    return type(value)() if isinstance(value, (str, list, tuple, dict)) and value else None


def _extra(rng: random.Random, holder: Any, key: str | int) -> Any:
    value = holder[key]
    if isinstance(value, Mapping):
        return {**value, 'unheard_of': rng.choice([1, 'a', dict(type='Nothing')])}
    if isinstance(value, (list, tuple)) and value:
        return type(value)([*value, value[-1]])
    return None


# Each gives the new value of `holder[key]`; None where it cannot be so changed, but for `_none`.
KINDS: Mapping[str, Callable[[random.Random, Any, str | int], Any]] = {
    'delete': _delete,
    'misspell': _misspell,
    'wrong type': _wrong_type,
    'None': _none,
    'negative': _negative,
    'zero': _zero,
    'huge': _huge,
    'float for int': _float_for_int,
    'NaN': _nan,
    'swapped': _swapped,
    'empty': _empty,
    'extra': _extra,
}


def places(config: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every entry of dicts and lists, from the outside to the inside."""
    keys: Any = ()
    if isinstance(config, Mapping):
        keys = [key for key in config if isinstance(key, str)]
    elif isinstance(config, list):
        keys = range(min(len(config), _FIRST))
    for key in keys:
        yield (*path, key)
        if key not in _LONG:
            yield from places(config[key], (*path, key))


def draw(rng: random.Random, config: Mapping[str, Any]) -> Mutation:
    """A mutation of one of the kinds, at one of the places where it changes something."""
    kind, everywhere = rng.choice(list(KINDS)), list(places(config))
    while True:
        path = rng.choice(everywhere)
        holder: Any = config
        for name in path[:-1]:
            holder = holder[name]
        before = holder[path[-1]]
        after = KINDS[kind](rng, holder, path[-1])
        fits = after is None if kind == 'None' else after is not None
        if fits and (after is _MISSING) == (kind == 'delete') and repr(after) != repr(before):
            return Mutation(kind, path, before, after)
