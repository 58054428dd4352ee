"""What is known of a host's dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mmlocal.hosts.accounts.account import Account
from mmlocal.hosts.accounts.reading import Reading

__all__ = ['DatasetRules']


def _nothing(dataset: Any, notes: Reading) -> list[str]:
    return []


@dataclass(frozen=True)
class DatasetRules:
    """How a dataset's files are held against what it has kept.

    Attributes:
        account: what a dataset has read, kept and dropped; None if it cannot be told.
        parser: qualified name of the method that parses a record; a dataset with another one has other rules.
        faults: of one that could not read its files: what is wrong with these, places relative to the dataset's.
    """

    account: Callable[[Any, Reading], Account | None]
    faults: Callable[[Any, Reading], list[str]] = _nothing
    parser: str = ''
