"""Processes of a run that begin with the same settings, and end together when one of them fails."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from mmlocal.engine.distributed.differences import differences_of, digest_of, named_ranks, with_ranks
from mmlocal.engine.distributed.processes import place_process
from mmlocal.errors import ConfigError, NonFiniteLossError, reason

__all__ = ['Ranks', 'current_ranks', 'end_together']

# Until a process has come: torch's own for GPUs. A config's `env_cfg.dist_cfg.timeout` is taken once it is read.
_TIMEOUT = 600.0
# Between two looks at the others; for the others to tell faults of their own; for the others to leave.
_LOOK, _TELL, _LEAVE = 0.5, 2.0, 5.0

_current: Ranks | None = None


def current_ranks() -> Ranks | None:
    """The processes that a tool has begun with, or none where it runs in one."""
    return _current


def end_together(main: Callable[..., None]) -> Callable[..., None]:
    """Let `main` of a tool end in every process of its run when it fails in one of them.

    Whoever fails tells the others its faults, wherever they are: reading their config, building, or waiting for
    it in a collective operation. Each prints what it has not found itself, with the rank, and ends with exit code 2.
    A run of one process is left alone.
    """

    @functools.wraps(main)
    def guarded(*args: Any) -> None:
        global _current
        _current = ranks = _meet(_launcher(sys.argv[1:]))
        if ranks is None:
            main(*args)
            return
        ranks.watch()
        try:
            main(*args)
        except BaseException as error:
            if isinstance(error, SystemExit) and not error.code:
                raise
            told = ranks.fail(_faults(error))
            same = len(told) == ranks.size and len(set(map(tuple, told.values()))) == 1
            if isinstance(error, ConfigError):
                raise error if same else ConfigError(*with_ranks(told)) from error
            if not same:
                _write(with_ranks({rank: faults for rank, faults in told.items() if rank != ranks.rank}))
            raise
        finally:
            ranks.stop_watching()
            _current = None

    return guarded


def _launcher(arguments: Sequence[str]) -> str:
    """What `--launcher` says, before the other arguments are looked at: they may be wrong in one process alone."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument('--launcher', default='none')
    try:
        return str(parser.parse_known_args(arguments)[0].launcher)
    except argparse.ArgumentError:  # for the tool's own parser to tell
        return ''


def _meet(launcher: str) -> Ranks | None:
    """Find the other processes by torch's store, which needs no backend and so no config."""
    if place_process(launcher) == 1:
        return None
    try:
        store, rank, size = next(rendezvous('env://', timeout=timedelta(seconds=_TIMEOUT)))
    except dist.DistError as error:
        raise ConfigError(f'--launcher {launcher}: the other processes are not there: {reason(error)}') from error
    return Ranks(store, rank, size)


def _faults(error: BaseException) -> list[str]:
    if isinstance(error, ConfigError):
        return list(error.faults)
    if isinstance(error, NonFiniteLossError):
        return [str(error)]
    if isinstance(error, SystemExit):
        return [f'ended with exit code {error.code}; its own output says why']
    return [reason(error)]


class Ranks:
    """The processes of a run, seen from one of them, over a store that all of them reach.

    Args:
        store: for keys and values, of torch.
        rank: of this process.
        size: number of processes.
    """

    def __init__(self, store: Any, rank: int, size: int) -> None:
        self.rank, self.size, self.timeout = rank, size, _TIMEOUT
        self._store = PrefixStore('mmlocal', store)
        self._over = Event()
        self._watcher = Thread(target=self._watch, name='watch over other ranks', daemon=True)

    def compare(self, stage: str, entries: Mapping[str, str], shown: Mapping[str, str] | None = None) -> None:
        """Refuse, in every process, what is not the same in all of them.

        Args:
            stage: a name of what is compared, for people and for keys; each once a run.
            entries: texts by name.
            shown: what is told in their place.

        Raises:
            ConfigError: with the names that differ, their values and the ranks that have them, or with the ranks
                that have not come before `timeout` (in seconds).
        """
        self._store.set(f'{stage}/entries/{self.rank}', json.dumps([dict(entries), dict(shown or {})]))
        digests = self._of_all(f'{stage}/digest', digest_of(entries))
        if len(set(digests)) == 1:
            return
        of_digest = {digest: digests.index(digest) for digest in digests}
        read = {digest: json.loads(self._store.get(f'{stage}/entries/{rank}')) for digest, rank in of_digest.items()}
        raise ConfigError(*differences_of(*zip(*(read[digest] for digest in digests), strict=True)))

    def _of_all(self, key: str, mine: str) -> list[str]:
        """What each process has written under a key, once all have."""
        self._store.set(f'{key}/{self.rank}', mine)
        keys, end = [f'{key}/{rank}' for rank in range(self.size)], time.monotonic() + self.timeout
        while not self._store.check(keys):
            if time.monotonic() > end:
                late = [rank for rank in range(self.size) if not self._store.check([keys[rank]])]
                raise ConfigError(
                    f'{key.partition("/")[0]}: {named_ranks(late)} did not come within {self.timeout:g} seconds: ended '
                    'without a word, or slower; env_cfg.dist_cfg.timeout is how long to wait'
                )
            time.sleep(0.02)
        return [str(self._store.get(one).decode()) for one in keys]

    def fail(self, faults: Sequence[str]) -> dict[int, list[str]]:
        """Tell the others what ends this process, and wait until they have heard it.

        Returns:
            Faults by rank: these, and those that others have told meanwhile.
        """
        self.stop_watching()
        told = {self.rank: list(faults)}
        with contextlib.suppress(dist.DistError):  # the process that keeps the store is gone
            self._store.set(f'faults/{self.rank}', json.dumps(list(faults)))
            self._store.set('failed', '')
            told = self._told()
        # A launcher ends the others when the first has gone; this process goes by itself.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._leave()
        return told

    def _told(self) -> dict[int, list[str]]:
        """Faults by rank, when all have told some or have had the time to."""
        keys = {rank: f'faults/{rank}' for rank in range(self.size)}
        end = time.monotonic() + _TELL
        while time.monotonic() < end and not self._store.check(list(keys.values())):
            time.sleep(0.02)
        return {rank: json.loads(self._store.get(key)) for rank, key in keys.items() if self._store.check([key])}

    def _leave(self) -> None:
        """Go when all go: one of them keeps the store."""
        end = time.monotonic() + _LEAVE
        with contextlib.suppress(dist.DistError):  # it has gone
            self._store.add('left', 1)
            while time.monotonic() < end and self._store.add('left', 0) < self.size:
                time.sleep(0.02)

    def watch(self) -> None:
        """Begin to look whether others have failed."""
        self._watcher.start()

    def stop_watching(self) -> None:
        """Look no longer."""
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        """End this process when another one has failed: it may be waiting for that one, and cannot be woken."""
        try:
            while not self._over.wait(_LOOK):
                # This process may be about to tell the same.
                if self._store.check(['failed']) and not self._over.wait(_TELL):
                    _write(with_ranks(self._told()))
                    self._leave()
                    os._exit(2)
        except dist.DistError:  # the process that keeps the store has ended
            return


def _write(faults: Iterable[str]) -> None:
    sys.stderr.write(''.join(f'error: {fault}\n' for fault in faults))
    sys.stderr.flush()
