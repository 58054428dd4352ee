"""Checkpoints that a run starts from, goes on from, or writes."""

from __future__ import annotations

import logging
import os
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmengine.logging import print_log

from mmlocal.errors import ConfigError, reason

__all__ = ['check_checkpoint', 'newest_checkpoint', 'trust_checkpoints', 'weights_only']

# torch's own switches. The first overrules code that asks for everything, as mmengine does where weights alone fail.
_FORCE, _TRUST = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_NAMES = re.compile(r'(epoch|iter)_\d+\.pth')
_OF_A_RUN = ('optimizer', 'message_hub')


@contextmanager
def weights_only() -> Iterator[None]:
    """Files are read without running code that may be in them, unless the user has told torch otherwise."""
    before = os.environ.get(_FORCE)
    if os.environ.get(_TRUST, '0') == '0':
        os.environ[_FORCE] = '1'
    try:
        yield
    finally:
        trust_checkpoints()
        if before is not None:
            os.environ[_FORCE] = before


def trust_checkpoints() -> None:
    """From here on: files are the user's own, whatever hooks have put into them."""
    os.environ.pop(_FORCE, None)


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
    if not os.path.isfile(path):
        raise ConfigError(f' = {path!r} does not exist (looked for {os.path.abspath(path)})')
    try:
        _check_whole(path)
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu', logger='silent')
    except ConfigError:
        raise
    except pickle.UnpicklingError as error:
        raise ConfigError(f' = {path!r} {_more_than_weights(error)}') from error
    except Exception as error:  # whatever a broken file makes torch raise
        raise ConfigError(f' = {path!r} cannot be read: {reason(error)}') from error
    if not isinstance(checkpoint, Mapping) or not ('state_dict' in checkpoint or 'model' in checkpoint):
        raise ConfigError(f' = {path!r} holds no weights (no key state_dict)')
    missing = [key for key in _OF_A_RUN if key not in checkpoint] if resume else []
    if missing:
        raise ConfigError(
            f' = {path!r} holds no {", ".join(missing)} to go on from; to start from its weights use load_from'
        )


def _more_than_weights(error: pickle.UnpicklingError) -> str:
    found = re.search(r'GLOBAL (\S+)', str(error))
    if found is None:
        return f'cannot be read: {reason(error)}'
    return (
        f'holds more than weights: a {found[1]}, and reading that can run code of its maker. '
        f'If you trust the file, set {_TRUST}=1'
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
    """The checkpoint to go on from: the last one that is whole. What is passed over is told by warnings.

    `last_checkpoint` names the first to look at; the others are taken by their age.

    Raises:
        ConfigError: if there are checkpoints, and none can be resumed.
    """
    faults = []
    for path in _candidates(Path(work_dir)):
        try:
            check_checkpoint(path, resume=True)
        except ConfigError as error:
            faults += [f'--resume{fault}' for fault in error.faults]
            continue
        for fault in faults:
            print_log(f'{fault}. Resuming from {path!r}', 'current', logging.WARNING)
        return path
    if faults:
        raise ConfigError(*faults)
    return None


def _candidates(folder: Path) -> list[str]:
    """Checkpoints of a run, the one that `last_checkpoint` names first, then the youngest."""
    latest = folder / 'last_checkpoint'
    named = Path(latest.read_text(encoding='utf-8').strip()) if latest.is_file() else None
    if named is not None and named.name and not named.exists() and (folder / named.name).exists():
        named = folder / named.name  # the folder was moved
    folders = {folder} | ({named.parent} if named is not None and named.name else set())
    others = [path for one in folders if one.is_dir() for path in one.iterdir() if _NAMES.fullmatch(path.name)]
    others.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    listed = ([named] if named is not None and named.name else []) + others
    return list(dict.fromkeys(str(path) for path in listed))
