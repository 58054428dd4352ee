"""What datasets have read, kept and dropped, and what is said of it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log

from mmlocal.hosts import rules_of
from mmlocal.hosts.accounts import Account, Reading
from mmlocal.validation.data.contents import shown

__all__ = ['account_of', 'without_objects']


def account_of(dataset: Any, notes: Reading) -> Account:
    """What a dataset has read, kept and dropped; an empty account of one that is not known."""
    if id(dataset) not in notes.accounts:
        notes.accounts[id(dataset)] = dataset, _account(dataset, notes)
    return notes.accounts[id(dataset)][1]


def _account(dataset: Any, notes: Reading) -> Account:
    rules = rules_of(dataset)
    try:
        account = rules.account(dataset, notes) if rules else None
    except Exception:  # a dataset of one's own may lack what the host's has: it is trained on all the same
        print_log(traceback.format_exc(), logger='current', level=logging.DEBUG)
        account = None
    return account or Account()


def without_objects(leaves: Sequence[tuple[Any, str]], notes: Reading) -> list[str]:
    """What is said of datasets without an object to learn from; nothing where another one has some, or needs none."""
    found = []
    for leaf, where in leaves:
        objects, account = notes.kept(leaf).objects, account_of(leaf, notes)
        if objects is None or objects.total() or account.faults:
            return []
        found.append(f'{where}{no_object(leaf, account)}')
    return found


def no_object(dataset: Any, account: Account) -> str:
    """That a dataset has no object to learn from, and why: the rest of a sentence."""
    said = f' has no object of the classes {shown(dataset.metainfo.get("classes") or [])} to learn from'
    if not account.objects or not account.objects.dropped:
        return said
    reasons = [
        f'{reason} ({one.count} of {account.objects.read}{", first " + one.first[0] if one.first else ""})'
        for reason, one in account.objects.dropped.items()
    ]
    return f'{said}: {"; ".join(reasons)}'
