"""One run in a work directory at a time."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import time

from mmengine.dist import broadcast_object_list, is_distributed, is_main_process
from mmengine.logging import print_log

from mmlocal.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ['lock_work_dir', 'unlock_work_dirs']

_NAME = '.lock'
_TAKEN = (errno.EACCES, errno.EAGAIN)

# Where the launchers tell which process is the first, before the processes have joined.
_RANKS = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}

# The open file of each directory: a lock goes with any file of this process that is closed on it.
_held: dict[str, int] = {}


def lock_work_dir(path: str, launcher: str = 'none') -> bool:
    """Keep other runs out of a work directory, until `unlock_work_dirs` or this process ends, however it ends.

    A lock of POSIX (`fcntl`) belongs to the process and not to the file: workers that a killed run leaves behind do not
    hold it. The first of several processes takes it for all. Where the file system has no locks that is told, and the
    run goes on.

    Args:
        path: of the directory, which is there.
        launcher: of the processes, if they may not have joined yet.

    Returns:
        Whether it was free, and is locked now; else this process had it before, or there are no locks.

    Raises:
        ConfigError: in all processes that have joined, if another run is in it; told by its process, machine, start.
    """
    folder = os.path.realpath(path)
    joined = is_distributed()
    first = is_main_process() if joined else os.environ.get(_RANKS.get(launcher, ''), '0') == '0'
    faults: list[str | None] = [None]
    taken = False
    if first:
        taken, faults[0] = _lock(folder, path)
    if joined:
        broadcast_object_list(faults)
    if faults[0] is not None:
        raise ConfigError(faults[0])
    return taken


def unlock_work_dirs(*paths: str) -> None:
    """Let other runs in, everywhere if no directory is named."""
    for folder in [os.path.realpath(path) for path in paths] or list(_held):
        os.close(_held.pop(folder))


if fcntl is not None:
    # A process that is forked has the files and not the locks.
    os.register_at_fork(after_in_child=unlock_work_dirs)


def _lock(folder: str, path: str) -> tuple[bool, str | None]:
    """Take the lock, or tell who has it."""
    if folder in _held:
        if _is_at(_held[folder], os.path.join(folder, _NAME)):
            return False, None
        os.close(_held.pop(folder))  # the directory was removed, and made anew
    handle = None
    try:
        handle = os.open(os.path.join(folder, _NAME), os.O_RDWR | os.O_CREAT, 0o666)
        if fcntl is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(handle) if handle is not None else ''
        if handle is not None:
            os.close(handle)
            if error.errno in _TAKEN:
                return False, f'work_dir = {path!r} is in use by {holder}. Wait for it, or take another with --work-dir'
        print_log(
            f'work_dir = {path!r} cannot be locked ({error.strerror}): see to it that no other run is in it',
            'current',
            logging.WARNING,
        )
        return False, None
    _held[folder] = handle
    with contextlib.suppress(OSError):  # a full disk: the lock holds without a word
        os.ftruncate(handle, 0)
        os.pwrite(handle, _signature().encode(), 0)
    return True, None


def _is_at(handle: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


def _signature() -> str:
    return f'process {os.getpid()} on {socket.gethostname()} since {time.strftime("%Y-%m-%d %H:%M:%S %z")}'


def _holder(handle: int) -> str:
    return os.pread(handle, 400, 0).decode(errors='replace').strip() or 'another run'
