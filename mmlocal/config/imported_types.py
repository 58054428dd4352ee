"""Configs in Python's own style (`read_base`, `type=ResNet`), written as those in the style of texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine import registry as kinds
from mmengine.config import Config
from mmengine.registry import Registry

__all__ = ['name_types']

_ROOTS = [one for one in vars(kinds).values() if isinstance(one, Registry)]


def name_types(cfg: Config) -> Config:
    """Give every imported class that a registry knows by its name there, such as `mmdet.ResNet`.

    Without a `default_scope` the scope becomes that of the model, which local heads and the like are looked up in.
    A config without imported types is returned as it is.
    """
    imported = getattr(cfg, '_imported_names', None)
    if not imported:
        return cfg
    given = {key: value for key, value in cfg.items() if key not in imported}
    named = Config(_named(given), filename=cfg.filename)
    scope = str((named.get('model') or {}).get('type')).partition('.')[0]
    if scope in kinds.MODELS.children and 'default_scope' not in named:
        named.default_scope = scope
    return named


def _named(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _named(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_named, value))
    return _name_of(value) if callable(value) else value


def _name_of(component: Any) -> Any:
    name = getattr(component, '__name__', '')
    for root in _ROOTS:
        for registry in (root, *root.children.values()):
            if registry.module_dict.get(name) is component:
                return name if registry is root else f'{registry.scope}.{name}'
    # By its path, which mmengine imports it by.
    return f'{component.__module__}.{name}' if name else component
