"""Reading files of others without running what may be in them."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.serialization
from mmengine.fileio.handlers import file_handlers

from mmlocal.engine.resume.data_types import DATA_TYPES
from mmlocal.engine.resume.plain_yaml import PlainYamlHandler
from mmlocal.errors import ConfigError, reason

__all__ = ['MoreThanWeightsError', 'trust_checkpoint', 'trusting', 'weights_only']

# torch's own switches. The first overrules code that asks for everything, in processes that are started from here, too.
_FORCE, _TRUST = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_REMEDY = f'If you trust the file, set {_TRUST}=1'
_LONGEST_NAME = 100
_ON = ('1', 'y', 'yes', 'true')

_trusted: set[str] = set()


class MoreThanWeightsError(ConfigError):
    """A file needs code to be read; `why` is the end of a sentence that begins with the file."""

    def __init__(self, path: Any, why: str) -> None:
        self.why = why
        super().__init__(f'checkpoint {_named(path)} {why}')


@contextmanager
def weights_only() -> Iterator[None]:
    """Files are read without running code that may be in them, unless the user has told torch otherwise.

    However a checkpoint is asked for, and wherever it is from, torch reads it in the end: there what it may hold is
    set to weights and `DATA_TYPES`, whatever mmengine or others have allowed. Files that are trusted are read whole.
    YAML makes plain values.
    """
    if os.environ.get(_TRUST) in _ON:
        yield
        return
    load, forced, trusted, handlers = torch.load, os.environ.get(_FORCE), set(_trusted), dict(file_handlers)
    os.environ[_FORCE] = '1'
    torch.load = torch.serialization.load = _guarded(load, forced in _ON)
    file_handlers.update(dict.fromkeys(('yaml', 'yml'), PlainYamlHandler()))
    try:
        yield
    finally:
        torch.load = torch.serialization.load = load
        file_handlers.update(handlers)
        _trusted.clear()
        _trusted.update(trusted)
        _restore(forced)


def trust_checkpoint(path: str) -> None:
    """From here on this file is read whole, as it is the user's own, whatever hooks have put into it."""
    _trusted.add(_real(path))


@contextmanager
def trusting(path: str) -> Iterator[None]:
    """Trust a file for a while."""
    before = set(_trusted)
    trust_checkpoint(path)
    try:
        yield
    finally:
        _trusted.clear()
        _trusted.update(before)


def _guarded(load: Callable[..., Any], always: bool) -> Callable[..., Any]:
    """`torch.load` that looks at whose file it is; with `always`, the user wants weights of all of them."""

    def guarded(f: Any, *args: Any, **kwargs: Any) -> Any:
        if not always and isinstance(f, (str, os.PathLike)) and _real(f) in _trusted:
            del os.environ[_FORCE]
            try:
                return load(f, *args, **{**kwargs, 'weights_only': False})
            finally:
                os.environ[_FORCE] = '1'
        try:
            with _data_types_alone():
                return load(f, *args, **{**kwargs, 'weights_only': True})
        except pickle.UnpicklingError as error:
            # No UnpicklingError: mmengine would go on to read the file whole.
            raise MoreThanWeightsError(f, _more_than_weights(error)) from error

    return guarded


@contextmanager
def _data_types_alone() -> Iterator[None]:
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(DATA_TYPES)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _more_than_weights(error: pickle.UnpicklingError) -> str:
    found = re.search(r'GLOBAL (\S+)', str(error))
    if 'Unsupported operand' in str(error):
        return f'is pickled in another form than weights are, and reading that can run code of its maker. {_REMEDY}'
    if found is None:
        # What torch said first, before its advice.
        return f'cannot be read: {reason(error.__context__ or error)}'
    name = found[1] if '.' in found[1] else f'builtins.{found[1]}'  # torch leaves that out
    # A name is the file's own: it may be long, or signs by which a terminal does things.
    told = name.encode('unicode_escape').decode()[:_LONGEST_NAME]
    return f'holds more than weights: a {told}, and reading that can run code of its maker. {_REMEDY}'


def _named(path: Any) -> str:
    return repr(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else 'that was downloaded'


def _real(path: Any) -> str:
    return os.path.realpath(os.path.expanduser(os.fspath(path)))


def _restore(forced: str | None) -> None:
    if forced is None:
        os.environ.pop(_FORCE, None)
    else:
        os.environ[_FORCE] = forced
