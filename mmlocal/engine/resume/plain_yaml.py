"""YAML of plain values; mmengine's own reader makes any object that a file names, and calls what it names."""

from __future__ import annotations

from typing import Any

import yaml  # type: ignore[import-untyped]
from mmengine.fileio import YamlHandler

__all__ = ['PlainYamlHandler']


class _Loader(yaml.SafeLoader):
    """Knows tuples as well, as mmengine writes them."""

    def construct_tuple(self, node: Any) -> tuple[Any, ...]:
        return tuple(self.construct_sequence(node, deep=True))


_Loader.add_constructor('tag:yaml.org,2002:python/tuple', _Loader.construct_tuple)


class PlainYamlHandler(YamlHandler):
    """mmengine's handler, with a loader that refuses tags of Python."""

    def load_from_fileobj(self, file: Any, **kwargs: Any) -> Any:
        """Read a file.

        Raises:
            yaml.constructor.ConstructorError: if it asks for an object.
        """
        return super().load_from_fileobj(file, **{**kwargs, 'Loader': _Loader})
