"""The files that a config inherits: whether they go in a circle, and what one asks for that another one loses."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmlocal.config.written import value_of
from mmlocal.errors import ConfigError

__all__ = ['check_bases', 'imported_packages', 'lost_imports']


def check_bases(path: str | Path) -> None:
    """Follow what a config inherits.

    Raises:
        ConfigError: if it goes in a circle.
    """
    _follow(Path(path).resolve(), ())


def lost_imports(path: str | Path, cfg: Mapping[str, Any]) -> str:
    """What to say of modules that a base has in its `custom_imports` and that are not imported, or nothing.

    A list in a config replaces the list of its base, for imports as for all else.

    Args:
        path: of the config.
        cfg: what was read from it.
    """
    kept = _imports(cfg.get('custom_imports'))
    lost: dict[str, str] = {}
    for file in _files(Path(path).resolve()):
        names = _imports(_assigned(file, 'custom_imports'))
        lost |= {name: file.name for name in names if name not in kept and name not in sys.modules}
    if not lost:
        return ''
    files = ' and '.join(dict.fromkeys(lost.values()))
    return (
        f'custom_imports.imports = {kept} has replaced what {files} imports: {", ".join(lost)}, which may have the '
        f'names that are not known. Give all of them: custom_imports = dict(imports={[*lost, *kept]})'
    )


def imported_packages(path: str | Path) -> set[str]:
    """The packages that a config and its bases import by `import` statements."""
    nodes = [node for file in _files(Path(path).resolve()) for node in ast.walk(_tree(file))]
    return {node.module.partition('.')[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def _follow(path: Path, before: tuple[Path, ...]) -> None:
    if path in before:
        circle = [one.name for one in (*before[before.index(path) :], path)]
        raise ConfigError(f'config {str(path)!r} inherits itself: {" -> ".join(circle)}. Take one of these bases out')
    for base in _bases(path):
        _follow(base, (*before, path))


def _files(path: Path) -> Iterator[Path]:
    for base in _bases(path):
        yield from _files(base)
    yield path


def _bases(path: Path) -> list[Path]:
    """The files that a file names as its bases by a path; those of a host's package inherit nobody else's."""
    named = _assigned(path, '_base_') or []
    texts = [named] if isinstance(named, str) else named
    files = [(path.parent / text).resolve() for text in texts if isinstance(text, str) and '::' not in text]
    return [file for file in [*files, *_imported(path)] if file.is_file()]


def _imported(path: Path) -> Iterator[Path]:
    """Those that are imported under `read_base`, which are relative."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level and node.module:
            yield path.parents[node.level - 1].joinpath(*node.module.split('.')).with_suffix('.py').resolve()


def _assigned(path: Path, name: str) -> Any:
    """The value that a file gives to a name, if it is written out."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
            with suppress(ConfigError):  # of code
                return value_of(node.value)
    return None


def _tree(path: Path) -> ast.AST:
    if path.suffix != '.py':
        return ast.Module([], [])
    try:
        return ast.parse(path.read_text(encoding='utf-8'))
    except SyntaxError:  # which mmengine tells, or {{ }}, which it fills in
        return ast.Module([], [])


def _imports(config: Any) -> list[str]:
    named = config.get('imports') if isinstance(config, Mapping) else None
    return [named] if isinstance(named, str) else [name for name in named or () if isinstance(name, str)]
