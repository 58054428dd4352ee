"""Checkpoints that a run starts from, goes on from, or writes."""

from __future__ import annotations

import logging
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmengine.logging import print_log

from mmlocal.engine.resume.reading import MoreThanWeightsError, trust_checkpoint, trusting
from mmlocal.errors import ConfigError, reason

__all__ = ['check_checkpoint', 'last_checkpoint', 'newest_checkpoint']

_NAMES = re.compile(r'(epoch|iter)_\d+\.pth')
_OF_A_RUN = ('optimizer', 'message_hub')
# Longer than any path that a system opens.
_LONGEST = 4096


def check_checkpoint(path: str, resume: bool = False) -> None:
    """Open a checkpoint as a run would.

    Args:
        path: of the file.
        resume: whether a run is to go on from it, which takes more than weights.

    Raises:
        ConfigError: if it is not there, is not whole, holds no weights, more than weights where the file is
            not trusted, or too little to go on from.
    """
    from mmengine.runner import CheckpointLoader

    if '://' in path:
        return
    if os.path.isdir(path):
        raise ConfigError(f' = {path!r} is a directory, and no checkpoint')
    if not os.path.isfile(path):
        looked_for = os.fsencode(os.path.abspath(path)).decode(errors='backslashreplace')
        raise ConfigError(f' = {path!r} does not exist (looked for {looked_for})')
    try:
        _check_whole(path)
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu', logger='silent')
    except MoreThanWeightsError as error:
        raise ConfigError(f' = {path!r} {error.why}') from error
    except ConfigError:
        raise
    except Exception as error:  # whatever a broken file makes torch raise
        raise ConfigError(f' = {path!r} cannot be read: {reason(error)}') from error
    if not isinstance(checkpoint, Mapping) or not ('state_dict' in checkpoint or 'model' in checkpoint):
        raise ConfigError(f' = {path!r} holds no weights (no key state_dict)')
    missing = [key for key in _OF_A_RUN if key not in checkpoint] if resume else []
    if missing:
        raise ConfigError(
            f' = {path!r} holds no {", ".join(missing)} to go on from; to start from its weights use load_from'
        )


def _check_whole(path: str) -> None:
    """Tell what torch tells by errors of its archive reader and its unpickler."""
    with open(path, 'rb') as file:
        start = file.read(2)
    if start == b'PK' and not zipfile.is_zipfile(path):
        raise ConfigError(f' = {path!r} is broken: it was cut off after {os.path.getsize(path)} bytes')
    # An archive, or the pickle that torch wrote before.
    if not start.startswith((b'PK', b'\x80')):
        raise ConfigError(f' = {path!r} is not a checkpoint: torch.save did not write it')
    if start == b'PK':
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ConfigError(f' = {path!r} is broken: {damaged} in it is not what was written')


def newest_checkpoint(work_dir: str) -> str | None:
    """The checkpoint to go on from: the last one that is whole, which is trusted from here on.

    `last_checkpoint` names the first to look at; the others are taken by their age. What is passed over is told by
    warnings.

    Raises:
        ConfigError: if there are checkpoints, and none can be resumed.
    """
    faults = []
    try:
        named = last_checkpoint(work_dir)
    except ConfigError as error:
        named = None
        faults += [f'--resume: {fault}' for fault in error.faults]
    for path in _candidates(Path(work_dir), named):
        try:
            with trusting(path):
                check_checkpoint(path, resume=True)
        except ConfigError as error:
            faults += [f'--resume{fault}' for fault in error.faults]
            continue
        for fault in faults:
            print_log(f'{fault}. Resuming from {path!r}', 'current', logging.WARNING)
        trust_checkpoint(path)
        return path
    if faults:
        raise ConfigError(*faults)
    return None


def last_checkpoint(work_dir: str) -> str | None:
    """What `last_checkpoint` in a work directory says, if it is there.

    Raises:
        ConfigError: if it names no file, or cannot be read.
    """
    path = Path(work_dir) / 'last_checkpoint'
    if not os.path.lexists(path):
        return None
    if not path.is_file():
        raise ConfigError(f'{str(path)!r} is not a file')
    try:
        with path.open('rb') as file:
            content = file.read(_LONGEST + 1).strip()
    except OSError as error:
        raise ConfigError(f'{str(path)!r} cannot be read: {error.strerror}') from error
    if len(content) > _LONGEST or b'\0' in content or b'\n' in content:
        raise ConfigError(f'{str(path)!r} holds no path')
    # The bytes of a name, in whatever encoding.
    return os.fsdecode(content) or None


def _candidates(folder: Path, last: str | None) -> Iterator[str]:
    """Checkpoints of a run, the one that `last_checkpoint` names first, then the youngest."""
    named, folders = Path(last) if last else None, [folder]
    if named is not None:
        if not os.path.exists(named) and os.path.exists(folder / named.name):
            named = folder / named.name  # the folder was moved
        if os.path.isfile(named) or _NAMES.fullmatch(named.name):
            folders.append(named.parent)
    others = {str(path) for one in folders for path in _listed(one) if _NAMES.fullmatch(path.name)}
    youngest = sorted(others - {str(named)}, key=os.path.getmtime, reverse=True)
    yield from ([str(named)] if named is not None else []) + youngest


def _listed(folder: Path) -> list[Path]:
    """The files of a folder, if it can be read."""
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []
