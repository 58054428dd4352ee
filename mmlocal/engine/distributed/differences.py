"""What differs between processes, in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dist import all_gather_object
from torch import nn

from mmlocal.errors import ConfigError

__all__ = ['check_same', 'differences_of', 'digest_of', 'named_ranks', 'shapes_of', 'with_ranks']

_MOST_TOLD, _LONGEST = 8, 80


def check_same(entries: Mapping[str, str], group: Any = None) -> None:
    """Refuse, in every process, what is not the same in all of them. For processes that are joined; all have to call.

    Args:
        entries: texts by name.
        group: the processes; all of them if not given.

    Raises:
        ConfigError: with the names that differ, their values and the ranks.
    """
    if len(set(all_gather_object(digest_of(entries), group))) > 1:
        raise ConfigError(*differences_of(all_gather_object(dict(entries), group)))


def digest_of(entries: Mapping[str, str]) -> str:
    """The same for the same entries in the same order, in every process."""
    return hashlib.blake2b(json.dumps(dict(entries)).encode()).hexdigest()


def shapes_of(model: nn.Module) -> dict[str, str]:
    """Kind and shape of all parameters and buffers, by name: what is sent from process to process."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {name: f'{tensor.dtype} of {tuple(tensor.shape)}' for name, tensor in tensors}


def named_ranks(ranks: Sequence[int]) -> str:
    """Ranks in words.

    Example:
        >>> named_ranks([0]), named_ranks([1, 2])
        ('rank 0', 'ranks 1, 2')
    """
    return f'rank{"s" if len(ranks) > 1 else ""} {", ".join(map(str, ranks))}'


def with_ranks(told: Mapping[int, Sequence[str]]) -> list[str]:
    """Every fault once, with the ranks that told it."""
    ranks: dict[str, list[int]] = {}
    for rank, faults in told.items():
        for fault in faults:
            ranks.setdefault(fault, []).append(rank)
    return [f'{named_ranks(of)}: {fault}' for fault, of in ranks.items()]


def differences_of(of_ranks: Sequence[Mapping[str, str]], shown: Sequence[Mapping[str, str]] = ()) -> list[str]:
    """What differs between the entries of ranks, in words, by what is shown of them where that is something else.

    Example:
        >>> differences_of([{'lr': '0.1'}, {'lr': '0.2'}, {'lr': '0.1'}])
        ['lr = 0.1 in ranks 0, 2, 0.2 in rank 1: it has to be the same in all processes']
    """
    names = list(dict.fromkeys(name for entries in of_ranks for name in entries))
    faults = []
    for name in names:
        ranks: dict[str, list[int]] = {}
        for rank, entries in enumerate(of_ranks):
            ranks.setdefault(entries.get(name, 'not set'), []).append(rank)
        if len(ranks) > 1:
            texts = [shown[of[0]].get(name, value) if shown else value for value, of in ranks.items()]
            pairs = zip(_shortened(texts), ranks.values(), strict=True)
            listed = ', '.join(f'{text} in {named_ranks(of)}' for text, of in pairs)
            faults.append(f'{name} = {listed}: it has to be the same in all processes')
    more = len(faults) - _MOST_TOLD
    return faults[:_MOST_TOLD] + ([f'and {more} more settings differ between processes'] if more > 0 else [])


def _shortened(values: Sequence[str]) -> list[str]:
    """Long texts from a little before where they begin to differ."""
    characters = zip(*values, strict=False)
    same = next((i for i, of_all in enumerate(characters) if len(set(of_all)) > 1), min(map(len, values)))
    begin = max(0, same - _LONGEST // 2) if max(map(len, values)) > _LONGEST else 0
    end = begin + _LONGEST
    return [f'{"…" if begin else ""}{value[begin:end]}{"…" if len(value) > end else ""}' for value in values]
