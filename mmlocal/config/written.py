"""A config as it is written into a checkpoint: read, and not run."""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Any

from mmlocal.errors import ConfigError

__all__ = ['value_of', 'written_config']


def written_config(text: str, names: Collection[str] | None = None) -> dict[str, Any]:
    """Values of a config that mmengine has written, by their names: of some names, or of all.

    `Config.fromstring` would run the text, which for a checkpoint of others is code of its maker.

    Raises:
        ConfigError: if a value is more than literals and `dict`.

    Example:
        >>> written_config("model = dict(type='ResNet', depth=-1)", ['model'])
        {'model': {'type': 'ResNet', 'depth': -1}}
    """
    try:
        lines = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(' cannot be taken from the checkpoint: its meta.cfg is no config') from error
    assigned = (line for line in lines if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name))
    values = {line.targets[0].id: line.value for line in assigned}  # type: ignore[attr-defined]
    return {name: value_of(value) for name, value in values.items() if names is None or name in names}


def value_of(node: ast.expr) -> Any:
    """What a node stands for: literals and `dict(...)` of such.

    Raises:
        ConfigError: if it is more than that.
    """
    try:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
            # Keys that are no names are written dict({...}).
            parts = [dict(value_of(part)) for part in node.args]
            parts += [{one.arg: value_of(one.value)} if one.arg else dict(value_of(one.value)) for one in node.keywords]
            return {key: value for part in parts for key, value in part.items()}
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            return {value_of(key): value_of(value) for key, value in pairs if key is not None}
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            made = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
            return made(value_of(item) for item in node.elts)
        if isinstance(node, ast.Name) and node.id in ('inf', 'nan'):
            return float(node.id)
        return ast.literal_eval(node)
    except ConfigError:
        raise
    except (ValueError, TypeError, RecursionError) as error:
        raise _no_value(node) from error


def _no_value(node: ast.AST) -> ConfigError:
    code = ast.unparse(node)[:80]
    return ConfigError(f' cannot be taken from the checkpoint: its meta.cfg holds code, which is not run: {code!r}')
