"""Hooks that act once, at the beginning of an epoch: what they did is done again when a run is resumed behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmlocal.engine.resume.kept.owners import hooks_of, put
from mmlocal.engine.resume.kept.plain import unpack
from mmlocal.engine.resume.kept.state import Kept, take
from mmlocal.randomness import seed_by_place

__all__ = ['begin_epoch', 'kept_of', 'repeat_actions']

# In the message hub, and so in checkpoints. Not train…: mmengine would log it.
_ACTIONS = 'epoch_actions'


def kept_of(runner: Runner) -> Kept | None:
    """What the checkpoint hook keeps of hooks and modules."""
    return next((hook.kept for hook in runner.hooks if isinstance(getattr(hook, 'kept', None), Kept)), None)


def begin_epoch(runner: Runner) -> None:
    """Call `before_train_epoch` of all hooks, and note which of them changed the data or what the model is made of.

    Each hook draws by seed, process and epoch alone. Of a run that is resumed within the epoch, hooks find the
    state that they had at its beginning, and afterwards get the one of the checkpoint.
    """
    kept = kept_of(runner)
    if kept is not None and kept.pending is None:
        kept.at_epoch = kept.changes()
    actions = list(runner.message_hub.get_info(_ACTIONS, []))
    for name, hook in hooks_of(runner):
        done = any((action['epoch'], action['hook']) == (runner.epoch, name) for action in actions)
        state = {} if done else take(hook).plain
        if _act(runner, hook) and not done:
            actions.append({'epoch': runner.epoch, 'iter': runner.iter, 'hook': name, 'state': state})
    if actions:
        runner.message_hub.update_info(_ACTIONS, actions)
    if kept is not None and kept.pending is not None:
        kept.give_back(kept.pending)
        kept.pending = None


def repeat_actions(runner: Runner) -> None:
    """Do again what hooks did at the beginning of epochs before the one that is resumed, in the same order."""
    hooks = dict(hooks_of(runner))
    for action in runner.message_hub.get_info(_ACTIONS, []):
        hook = hooks.get(action['hook'])
        if hook is None or action['epoch'] >= runner.epoch:
            continue
        for name, value in action['state'].items():
            put(hook, name, unpack(value))
        with _at(runner, action):
            _act(runner, hook)


def _act(runner: Runner, hook: Hook) -> bool:
    """Call a hook; whether it changed the data or what the model is made of."""
    before = list(_parts(runner))
    seed_by_place(runner.seed, get_rank(), runner.epoch)
    hook.before_train_epoch(runner)
    after = list(_parts(runner))
    return len(before) != len(after) or any(a is not b for a, b in zip(before, after, strict=True))


@contextmanager
def _at(runner: Runner, action: Mapping[str, Any]) -> Iterator[None]:
    """The runner as it was in an earlier epoch, as far as hooks ask."""
    loop: Any = runner.train_loop
    now = loop._epoch, loop._iter
    loop._epoch, loop._iter = action['epoch'], action['iter']
    runner.message_hub.update_info_dict({'epoch': loop._epoch, 'iter': loop._iter})
    try:
        yield
    finally:
        loop._epoch, loop._iter = now
        runner.message_hub.update_info_dict({'epoch': loop._epoch, 'iter': loop._iter})


def _parts(runner: Runner) -> Iterator[Any]:
    """Loader, datasets, transforms and all that they hold, and the modules: which objects these are."""
    loader = runner.train_dataloader
    yield loader
    waiting, seen = [loader.dataset], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen or not hasattr(part, '__dict__'):
            continue
        seen.add(id(part))
        held = vars(part)
        yield from held.values()
        for name in ('dataset', '_dataset', 'pipeline'):
            waiting.append(held.get(name))
        for name in ('datasets', 'transforms'):
            inner = held.get(name)
            waiting += inner if isinstance(inner, (list, tuple)) else []
            yield from inner if isinstance(inner, (list, tuple)) else ()
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    yield from model.modules()
    yield from vars(getattr(model, 'data_preprocessor', model)).values()
