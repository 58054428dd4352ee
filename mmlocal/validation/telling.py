"""What a host raises, told as a fault of the config: which part of it, what that was given, and the reason."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import nn

from mmlocal.errors import ConfigError, NonFiniteLossError, is_of_disk, origin, reason, root_of

__all__ = ['make_room', 'place_of', 'sentence_of', 'telling']

_LONGEST_VALUE, _MOST_VALUES = 40, 8


@contextmanager
def telling(cfg: Mapping[str, Any], doing: str, model: Any = None) -> Iterator[None]:
    """Tell whatever is raised inside as a fault of the config.

    Args:
        cfg: the config of the run.
        doing: what cannot be done, as `training cannot start`.
        model: of the run, where there is one, whose modules have places in the config.

    Raises:
        ConfigError: for every exception but those that are told in another way: of files, of losses.
    """
    try:
        yield
    except (ConfigError, NonFiniteLossError):
        raise
    except Exception as error:  # hosts may raise anything
        if is_of_disk(error):
            raise
        make_room(error)
        raise ConfigError(sentence_of(error, cfg, doing, model)) from error


def sentence_of(error: BaseException, cfg: Mapping[str, Any], doing: str, model: Any = None) -> str:
    """One sentence for an exception of other people's code; its traceback goes to the log file.

    Args:
        error: that was raised.
        cfg: the config of the run.
        doing: what cannot be done.
        model: of the run, where there is one, whose modules have places in the config.
    """
    error = root_of(error)
    place, config = place_of(error, cfg, model)
    where, log = origin(error), _logged(error)
    values = _given(config)
    given = f' It was given {values}.' if values else ''
    more = f' The traceback is in {log}' if log else " log_level = 'DEBUG' shows more"
    start = f'{place}: {doing}' if place else doing
    return f'{start}: {reason(error)}{where}.{given}{more}'


def make_room(error: BaseException) -> None:
    """Let go of what fills the memory, where an exception says that it is full: its frames hold that."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or 'allocate memory' in str(error):
        traceback.clear_frames(error.__traceback__)


def place_of(error: BaseException, cfg: Mapping[str, Any], model: Any = None) -> tuple[str, Any]:
    """Where in a config the component is that an exception comes from, and its config; empty where it is not known.

    It is the innermost one that was being built, or the innermost module of the model that ran.
    """
    config = cfg.to_dict() if isinstance(cfg, Config) else cfg
    known = {id(module): name for name, module in model.named_modules() if name} if isinstance(model, nn.Module) else {}
    types = _by_type(config)
    for frame in reversed([frame for frame, _ in traceback.walk_tb(error.__traceback__)]):
        owner, building = frame.f_locals.get('self'), frame.f_code.co_name == 'build_from_cfg'
        found = _equal(types, config, frame.f_locals.get('cfg')) if building else None
        found = found or _deepest(config.get('model'), known.get(id(owner), '')) or _only(types, owner)
        if found:
            return found
    return '', None


def _by_type(config: Any, place: str = '') -> dict[str, list[tuple[str, Any]]]:
    """Place and config of every component, by the last part of its type."""
    found: dict[str, list[tuple[str, Any]]] = {}
    inside: list[tuple[str, Any]] = []
    if isinstance(config, Mapping):
        inside = [(f'{place}.{name}'.lstrip('.'), value) for name, value in config.items()]
        if isinstance(config.get('type'), (str, type)):
            found[_name(config['type'])] = [(place, config)]
    elif isinstance(config, (list, tuple)):
        inside = [(f'{place}[{i}]', value) for i, value in enumerate(config)]
    for where, value in inside:
        for name, places in _by_type(value, where).items():
            found.setdefault(name, []).extend(places)
    return found


def _name(kind: Any) -> str:
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2]


def _equal(types: Mapping[str, list[tuple[str, Any]]], config: Any, part: Any) -> tuple[str, Any] | None:
    """The first component all of whose values `part` has: hosts add some before they build."""
    if not isinstance(part, Mapping) or 'type' not in part:
        alike = list(_places(config, repr(part)))
        return alike[0] if len(alike) == 1 else None
    alike = types.get(_name(part['type']), [])
    return next((one for one in alike if all(repr(part.get(k)) == repr(v) for k, v in one[1].items())), None)


def _places(config: Any, wanted: str, place: str = '') -> Iterator[tuple[str, Any]]:
    """Where a value is that looks so."""
    if place and repr(config) == wanted:
        yield place, config
    inside: Any = ()
    if isinstance(config, Mapping):
        inside = [(f'{place}.{name}'.lstrip('.'), value) for name, value in config.items()]
    elif isinstance(config, (list, tuple)):
        inside = [(f'{place}[{i}]', value) for i, value in enumerate(config)]
    for where, value in inside:
        yield from _places(value, wanted, where)


def _only(types: Mapping[str, list[tuple[str, Any]]], owner: Any) -> tuple[str, Any] | None:
    """The only component whose type is the class of `owner`."""
    alike = types.get(type(owner).__name__, [])
    return alike[0] if len(alike) == 1 else None


def _deepest(config: Any, name: str) -> tuple[str, Any] | None:
    """How far the name of a module is a path of the config of the model too, and what is there."""
    place = 'model'
    for one in name.split('.') if name else ():
        if not isinstance(config, Mapping) or not isinstance(config.get(one), Mapping):
            break
        place, config = f'{place}.{one}', config[one]
    return (place, config) if place != 'model' else None


def _given(config: Any) -> str:
    """Plain values of a component."""
    if not isinstance(config, Mapping):
        return ''
    shown = [
        f'{name} = {value!r}' for name, value in config.items() if name != 'type' and not isinstance(value, Mapping)
    ]
    return ', '.join([one for one in shown if len(one) < _LONGEST_VALUE][:_MOST_VALUES])


def _logged(error: BaseException) -> str:
    """Write the traceback into the log file of the run, not onto the screen; the file's path, if there is one."""
    logger = MMLogger.get_current_instance()
    text = ''.join(traceback.format_exception(error))
    path = ''
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(logger.makeRecord(logger.name, logging.ERROR, '', 0, text, (), None))
            path = handler.baseFilename
    return path
