"""Files that are whole or not there: written beside, flushed, renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mmengine.fileio import LocalBackend, register_backend

__all__ = ['DURABLE', 'DurableBackend', 'all_durably', 'remove_unfinished', 'write_durably']

DURABLE = 'mmlocal.durable'
_UNFINISHED = '.{}.unfinished'


@contextmanager
def _beside(path: Path) -> Iterator[BinaryIO]:
    """A file in the same folder that takes the name `path` when it is whole and on the disk, and goes if it fails."""
    unfinished = path.with_name(_UNFINISHED.format(path.name))
    try:
        with unfinished.open('wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Bring names to the disk: after a power failure a renamed file may have its old name."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems know no such thing; they bring names themselves.
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: str | Path, content: bytes) -> None:
    """Give `path` this content. Whoever is killed meanwhile leaves the file as it was.

    Raises:
        OSError: if it cannot be written; the file is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _beside(path) as file:
        file.write(content)


def remove_unfinished(folder: str | Path) -> None:
    """Remove what writers that were killed have left."""
    for path in Path(folder).glob(_UNFINISHED.format('*')):
        path.unlink(missing_ok=True)


@register_backend(DURABLE, force=True)
class DurableBackend(LocalBackend):
    """mmengine's files on the disk, written by `write_durably`: `backend_args=dict(backend='mmlocal.durable')`."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Raises:
            OSError: if they cannot be written; the file is as it was.
        """
        write_durably(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text; else as `put`."""
        write_durably(filepath, obj.encode(encoding))


@contextmanager
def all_durably() -> Iterator[None]:
    """Let all that mmengine writes to the disk meanwhile go through `DurableBackend`.

    The strategies of a `FlexibleRunner` are told a file and no backend.
    """
    register_backend('local', DurableBackend, force=True, prefixes='')
    try:
        yield
    finally:
        register_backend('local', LocalBackend, force=True, prefixes='')
