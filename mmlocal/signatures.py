"""What a component takes: its own arguments, and those that it hands to its bases."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn

__all__ = ['Signature', 'signature_of']

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_READS_A_NAME = ('pop', 'get', 'setdefault')


@dataclass(frozen=True)
class Signature:
    """Named parameters of a function or class, those of the bases that get its `**kwargs` included.

    `is_open`: whether it takes names that cannot be known, since something else is done with its `**kwargs`.
    """

    parameters: dict[str, inspect.Parameter]
    is_open: bool


@dataclass
class _Further:
    """What a constructor does with its `**kwargs`."""

    names: set[str] = field(default_factory=set)  # read by name
    forwards: list[ast.Call] = field(default_factory=list)  # to the constructor of a base
    known: bool = True  # and nothing else


@functools.cache
def signature_of(function: Callable[..., Any]) -> Signature:
    """The arguments of a function, or of a class through its bases as far as its source tells.

    A base's arguments count where the constructor hands its `**kwargs` to it, without those that it gives
    itself. Names that it takes out of them (`kwargs.pop('name')`) count too.

    Example:
        >>> class Base:
        ...     def __init__(self, width, depth=2): ...
        >>> signature_of(type('Child', (Base,), {})).parameters['depth'].default
        2
    """
    if not inspect.isclass(function):
        return _own(function)
    if any('__new__' in vars(c) for c in function.__mro__ if c is not object and '__init__' not in vars(c)):
        return Signature({}, True)
    constructors = [c for c in function.__mro__ if '__init__' in vars(c) and c not in (object, nn.Module)]
    return _through(constructors)


def _own(function: Callable[..., Any]) -> Signature:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # compiled code
        return Signature({}, True)
    named = {p.name: p for p in parameters if p.kind in _NAMED}
    return Signature(named, any(p.kind is p.VAR_KEYWORD for p in parameters))


def _through(constructors: list[type]) -> Signature:
    """Of the first class, whose `**kwargs` go to those behind it."""
    if not constructors:
        return Signature({}, False)
    constructor = inspect.unwrap(vars(constructors[0])['__init__'])
    own = _own(constructor)
    names = {name: p for i, (name, p) in enumerate(own.parameters.items()) if i}
    if not own.is_open:
        return Signature(names, False)
    behind = _through(constructors[1:])
    further = _further(constructor, constructors[0].__name__)
    # Where nothing is done with them, a host's configs may well give some.
    if further is None or not further.known or not further.forwards:
        return Signature({**names, **behind.parameters, **names}, True)
    given = [_given(call, behind.parameters) for call in further.forwards]
    handed = {name: p for name, p in behind.parameters.items() if any(name not in one for one in given)}
    read = {name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in further.names}
    return Signature({**names, **handed, **read, **names}, behind.is_open)


def _given(call: ast.Call, parameters: dict[str, inspect.Parameter]) -> set[str]:
    """Names of a base's arguments that a call gives by itself."""
    positional = [arg for arg in call.args if not isinstance(arg, ast.Starred)]
    return {*list(parameters)[: len(positional)], *(keyword.arg for keyword in call.keywords if keyword.arg)}


def _further(constructor: Callable[..., Any], owner: str) -> _Further | None:
    """What is done with `**kwargs`; none where there is no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(constructor)))
    except (OSError, SyntaxError, TypeError):
        return None
    definition = tree.body[0]
    kwargs = definition.args.kwarg if isinstance(definition, ast.FunctionDef) else None
    if kwargs is None:
        return None
    found, parents = _Further(), _parents(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == kwargs.arg:
            _note(list(_chain(node, parents)), found, owner)
    return found


def _parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def _chain(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    """What a node is in: three levels."""
    for _ in range(3):
        node = parents[node]
        yield node


def _note(around: list[ast.AST], found: _Further, owner: str) -> None:
    """One use of `kwargs`, by the nodes around it from the inside to the outside."""
    name: Any = None
    match around:
        case [ast.keyword(arg=None), ast.Call(func=ast.Attribute(value=of, attr='__init__')) as call, *_] if (
            ast.unparse(of) in ('super()', f'super({owner}, self)')
        ):
            found.forwards.append(call)
            return
        case [ast.Attribute(attr=method), ast.Call(args=[ast.Constant(value=name), *_]), *_] if method in _READS_A_NAME:
            pass
        case [ast.Subscript(slice=ast.Constant(value=name)), *_] | [ast.Compare(left=ast.Constant(value=name)), *_]:
            pass
    if isinstance(name, str):
        found.names.add(name)
    else:
        found.known = False
