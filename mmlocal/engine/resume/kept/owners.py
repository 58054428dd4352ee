"""Whose attributes are a run's state: hooks, modules of the model, and objects that these have of their own package."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

import numpy as np
import torch
from mmengine.hooks import CheckpointHook, Hook, IterTimerHook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner
from mmengine.utils import ManagerMixin
from torch import nn
from torch.utils.data import Dataset

__all__ = ['attributes', 'hooks_of', 'owners', 'put']

# Their attributes are folders and clocks of the process; what of them outlives it is in the message hub.
_OF_THE_PROCESS: tuple[type, ...] = (CheckpointHook, IterTimerHook)
_INTERNALS = frozenset(vars(nn.Module()))


def hooks_of(runner: Runner) -> Iterator[tuple[str, Hook]]:
    """The hooks by name; of several of a class, the second and further with a number."""
    seen: Counter[str] = Counter()
    for hook in runner.hooks:
        name = type(hook).__name__
        seen[name] += 1
        yield name if seen[name] == 1 else f'{name} {seen[name]}', hook


def owners(runner: Runner) -> dict[str, Any]:
    """All objects whose attributes a run may change, by a name that is the same in a resumed run."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    # What has an extra state is whole in the state dict.
    parts = ((n, m) for n, m in model.named_modules() if type(m).get_extra_state is nn.Module.get_extra_state)
    roots: list[tuple[str, Any]] = [(f'model.{name}', module) for name, module in parts]
    for name, hook in hooks_of(runner):
        if not isinstance(hook, _OF_THE_PROCESS) and getattr(hook, 'is_kept', True):
            roots.append((name, hook))
    found: dict[str, Any] = {}
    seen = {id(owner) for _, owner in roots}
    for name, owner in roots:
        found[name] = owner
        found.update(_owned(name, owner, seen))
    return found


def _owned(name: str, owner: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Objects of the owner's own package that it has: a head's assigner, a hook's counter."""
    for attribute, value in attributes(owner).items():
        for place, one in _listed(f'{name}.{attribute}', value):
            if id(one) not in seen and _is_own(one, owner):
                seen.add(id(one))
                yield place, one
                yield from _owned(place, one, seen)


def _listed(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        yield from ((f'{name}.{i}', one) for i, one in enumerate(value))
    elif isinstance(value, Mapping):
        yield from ((f'{name}.{key}', one) for key, one in value.items() if isinstance(key, str))
    else:
        yield name, value


def _is_own(value: Any, owner: Any) -> bool:
    kind = type(value)
    return (
        hasattr(value, '__dict__')
        and _package(kind) == _package(type(owner))
        and not isinstance(value, (type, FunctionType, nn.Module, Hook, Dataset, Mapping))
        and not isinstance(value, (ManagerMixin, Runner, BaseLoop, OptimWrapper))
    )


def _package(kind: type) -> str:
    return kind.__module__.partition('.')[0]


def attributes(owner: Any) -> dict[str, Any]:
    """What an owner has of its own; of a module, buffers that are not in its state dict too."""
    if not isinstance(owner, nn.Module):
        return dict(vars(owner))
    own = {name: value for name, value in vars(owner).items() if name not in _INTERNALS}
    return own | {name: owner._buffers[name] for name in sorted(owner._non_persistent_buffers_set)}


def put(owner: Any, name: str, value: Any) -> None:
    """Set an attribute; containers and generators keep their identity, as others may hold them."""
    before: Any = getattr(owner, name, None)
    if type(before) is not type(value):
        setattr(owner, name, value)
    elif isinstance(before, list):
        before[:] = value
    elif isinstance(before, random.Random):
        before.setstate(value.getstate())
    elif isinstance(before, np.random.Generator):
        before.bit_generator.state = value.bit_generator.state
    elif isinstance(before, (np.random.RandomState, torch.Generator)):
        before.set_state(value.get_state())
    elif isinstance(before, (dict, set)):
        before.clear()
        before.update(value)
    else:
        setattr(owner, name, value)
