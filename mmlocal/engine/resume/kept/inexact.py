"""What a resumed run will not have to the bit, told before a run begins."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

from mmengine import is_method_overridden
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.distributed.fsdp import FSDPModule

from mmlocal.engine.resume.kept.memory import remembering
from mmlocal.engine.resume.kept.owners import attributes, hooks_of
from mmlocal.engine.resume.kept.plain import NotPlainError, PassingError, pack

__all__ = ['inexact']

# What these set, a resumed run sets again.
_BEGINNINGS = ('__init__', 'before_run', 'before_train')
_CHANGING = ('append', 'appendleft', 'add', 'update', 'extend', 'insert', 'pop', 'popleft', 'clear', 'remove')


def inexact(runner: Runner) -> list[str]:
    """One line for each thing that a checkpoint cannot hold; nothing where a resumed run ends with the same bits."""
    found = [*_of_data(runner), *_of_hooks(runner)]
    if isinstance(runner.model, FSDPModule) and getattr(runner.optim_wrapper, '_accumulative_counts', 1) > 1:
        found.append('gradients that are accumulated over divided weights; at the end of a window it is exact')
    return [f'  not to the bit when resumed: {line}' for line in found]


def _of_data(runner: Runner) -> Iterator[str]:
    loader = runner.train_dataloader
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        if loader.num_workers and not loader.persistent_workers:
            return  # Memories begin anew with the workers, and what an epoch had of samples is read again.
        remedy = ' (exact with num_workers above 0 and persistent_workers=False)'
    else:
        remedy = ' (exact in a loop by epochs whose workers are not persistent)'
    names = remembering(loader.dataset)
    if names:
        yield f'{", ".join(names)}: what it does to a sample depends on those before{remedy}'


def _of_hooks(runner: Runner) -> Iterator[str]:
    order = list(hooks_of(runner))
    saving = next((i for i, (_, hook) in enumerate(order) if isinstance(hook, CheckpointHook)), len(order))
    for i, (name, hook) in enumerate(order):
        if isinstance(hook, CheckpointHook) or not getattr(hook, 'is_kept', True):
            continue
        if is_method_overridden('before_save_checkpoint', Hook, hook):
            continue  # It puts into checkpoints what it needs.
        changing = set(_changing(hook))
        for attribute, value in attributes(hook).items():
            if _is_state(value, runner.model) or (attribute in changing and not _is_plain(value)):
                yield f'{name}.{attribute}, a {type(value).__name__}, as it is no plain data'
        late = [stage for stage in ('after_train_iter', 'after_train_epoch') if i > saving]
        if set(_changing(hook, late)):
            yield f'{name}, as its priority lets it run when the checkpoint has been written'


def _is_plain(value: Any) -> bool:
    try:
        pack(value)
    except NotPlainError:
        return False
    except PassingError:
        pass
    return True


def _is_state(value: Any, model: nn.Module) -> bool:
    """Whether it says itself that it has a state, and it is not the model's."""
    if not (hasattr(value, 'load_state_dict') and hasattr(value, 'state_dict')):
        return False
    return all(one is not value for one in model.modules()) and bool(value.state_dict())


def _changing(hook: Hook, stages: list[str] | None = None) -> Iterator[str]:
    """Attributes that a hook's methods set or change, by its source; of `stages`, or of all but its beginnings."""
    for kind in type(hook).__mro__:
        if kind is Hook:
            return
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
        except (OSError, TypeError, SyntaxError):  # of a class that was made at run time
            continue
        for method in body.body if isinstance(body, ast.ClassDef) else ():
            if not isinstance(method, ast.FunctionDef) or method.name in _BEGINNINGS:
                continue
            if stages is None or method.name in stages:
                yield from _set_in(method)


def _set_in(method: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(method):
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from _own(target)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
            yield from _own(node.func.value)


def _own(target: ast.expr) -> Iterator[str]:
    """The attribute of `self` that is set, in `self.a`, `self.a[0]` and `self.a, self.b`."""
    while isinstance(target, ast.Subscript):
        target = target.value
    for one in target.elts if isinstance(target, ast.Tuple) else [target]:
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == 'self':
            yield one.attr
