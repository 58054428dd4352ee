"""Whether a value is of the plain kind (a number, a text, a list) that an argument asks for."""

from __future__ import annotations

import inspect
import numbers
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from mmlocal.errors import nearest

__all__ = ['kind_fault']

_PLAIN = {
    int: 'a whole number',
    float: 'a number',
    bool: 'True or False',
    str: 'a text',
    list: 'a list',
    dict: 'a dict',
}
_LISTS = (list, tuple, Sequence, Iterable)
_DICTS = (dict, Mapping)
_TEXTS = {'int': int, 'float': float, 'bool': bool, 'str': str, 'None': type(None)}


def kind_fault(name: str, value: Any, parameter: inspect.Parameter, strict: bool) -> str | None:
    """What is wrong with a plain value, by the annotation of its parameter, or by its default if that is a number.

    Args:
        name: of the argument.
        value: plain or not; what is not plain has no fault.
        parameter: what takes it.
        strict: whether postponed annotations are right. Those of the hosts often leave out that None will do.
    """
    allowed, strict = _allowed(parameter), strict and isinstance(parameter.annotation, str)
    if allowed is None or isinstance(value, type) or (value is None and not strict):
        return None
    choices = [one for one in allowed if not isinstance(one, type)]
    if choices and isinstance(value, str) and str not in allowed:
        if value in choices:
            return None
        listed = ', '.join(map(str, choices))
        return f'{name} = {value!r} is not one of {listed}.{nearest(value, [c for c in choices if isinstance(c, str)])}'
    kinds = [one for one in allowed if isinstance(one, type)]
    if any(_is(value, kind, strict) for kind in kinds) or value in choices:
        return None
    if not strict and not _surely_wrong(value, kinds):
        return None
    described = ' or '.join(dict.fromkeys(_PLAIN[kind] for kind in kinds if kind in _PLAIN))
    return f'{name} = {value!r} is not {described}' if described else None


def _surely_wrong(value: Any, kinds: list[type]) -> bool:
    """A text for a number, or a dict for either: no host means these where it says otherwise."""
    return isinstance(value, (str, Mapping)) and not {list, dict} & set(kinds)


def _is(value: Any, kind: type, strict: bool) -> bool:
    if kind is type(None):
        return value is None
    if kind is list:
        return isinstance(value, Sequence) and not isinstance(value, str)
    if kind is dict:
        return isinstance(value, Mapping)
    if kind is float:
        return isinstance(value, numbers.Real)
    return isinstance(value, kind)


def _allowed(parameter: inspect.Parameter) -> list[Any] | None:
    """Types, and values of a `Literal`; None where it is not known what is allowed."""
    annotation = parameter.annotation
    if annotation is parameter.empty:
        default = parameter.default
        return [bool] if isinstance(default, bool) else [float] if isinstance(default, (int, float)) else None
    return _of(annotation)


def _of(annotation: Any) -> list[Any] | None:
    if isinstance(annotation, str):  # postponed
        postponed = [_TEXTS.get(one.strip()) for one in annotation.split('|')]
        return None if None in postponed else postponed
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        parts = [_of(one) for one in typing.get_args(annotation)]
        return None if None in parts else [one for part in parts for one in part or ()]
    if origin is Literal:
        return list(typing.get_args(annotation))
    if annotation in _LISTS or origin in _LISTS:
        return [list]
    if annotation in _DICTS or origin in _DICTS:
        return [dict]
    return [annotation] if annotation in (int, float, bool, str, type(None)) else None
