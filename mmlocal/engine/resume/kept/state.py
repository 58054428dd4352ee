"""The attributes that a run has changed, taken and given back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import Runner

from mmlocal.engine.resume.kept.owners import attributes, owners, put
from mmlocal.engine.resume.kept.plain import NotPlainError, PassingError, pack, same, unpack

__all__ = ['Kept', 'Taken', 'take']

# By owner, by attribute: packed.
Changes = dict[str, dict[str, Any]]


@dataclass
class Taken:
    """An owner's attributes at a moment: plain ones as copies, of others which object it was."""

    plain: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)


def take(owner: Any) -> Taken:
    """The attributes of an owner."""
    taken = Taken()
    for name, value in attributes(owner).items():
        try:
            taken.plain[name] = pack(value)
        except NotPlainError:
            taken.others[name] = value
        except PassingError:
            continue
    return taken


class Kept:
    """The attributes of hooks and modules that are no longer what they were at the beginning of a run.

    mmengine keeps weights, optimizer and what is logged. What else a hook, or a module outside its buffers,
    knows of the iterations before (a count, a size that was drawn, a threshold that moves) is an attribute.

    Args:
        runner: whose `before_train` hooks have run: what they set is set again by a resumed run.

    Note:
        An owner one of whose attributes has become another object, which is no plain data, is left out as a
        whole: half of its state would be worse than none. This is told once.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._first = {name: take(owner) for name, owner in owners(runner).items()}
        self._told: set[str] = set()
        # As the epoch that is running began, before its hooks.
        self.at_epoch: Changes = {}
        # What is to be given back when the epoch has begun, of a run that is resumed within it.
        self.pending: Changes | None = None

    def changes(self) -> Changes:
        """What has changed since the beginning, packed."""
        found: Changes = {}
        for name, owner in owners(self._runner).items():
            first, now = self._first.setdefault(name, Taken()), take(owner)
            if self._is_half(name, first, now):
                continue
            changed = {
                key: value
                for key, value in now.plain.items()
                if key not in first.plain or not same(value, first.plain[key])
            }
            if changed:
                found[name] = changed
        return found

    def give_back(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Set what has changed, and what has not to what it was at the beginning."""
        for name, owner in owners(self._runner).items():
            wanted = self._first.setdefault(name, Taken()).plain | dict(changes.get(name, {}))
            now = take(owner).plain
            for key, value in wanted.items():
                if key not in now or not same(value, now[key]):
                    put(owner, key, unpack(value))

    def state(self, within_epoch: bool) -> dict[str, Any]:
        """What a checkpoint holds: what has changed by now, and by the beginning of an epoch that is not over."""
        return {'now': self.changes(), 'at_epoch': self.at_epoch if within_epoch else None}

    def resume(self, state: Mapping[str, Any], within_epoch: bool) -> None:
        """Give a checkpoint's state back.

        Args:
            state: from `state`.
            within_epoch: whether the loop begins an epoch that is not over once more (`begin_epoch`).
        """
        if within_epoch and state['at_epoch'] is not None:
            self.at_epoch, self.pending = state['at_epoch'], state['now']
            self.give_back(self.at_epoch)
        else:
            self.give_back(state['now'])

    def _is_half(self, name: str, first: Taken, now: Taken) -> bool:
        other = [key for key, value in now.others.items() if first.others.get(key) is not value]
        # Of hooks alone: modules keep caches of all kinds, which they make anew.
        if other and not name.startswith('model.') and name not in self._told:
            self._told.add(name)
            print_log(
                f'resume: {name}.{other[0]} is no plain data, so checkpoints do not hold the state of {name}: a '
                'resumed run starts it anew',
                'current',
                logging.WARNING,
            )
        return bool(other)
