"""The first validation, rehearsed on one batch before training: what fails there would fail after an epoch of hours."""

from __future__ import annotations

import copy
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from mmengine.dist import get_world_size
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Subset

from mmlocal.errors import ConfigError, origin, reason
from mmlocal.quiet import silent
from mmlocal.randomness import undisturbed

__all__ = ['rehearse_validation']

# A validation that takes longer on one batch is not rehearsed to its end.
_SECONDS = 5.0


class _TooLong(BaseException):
    """No error of anybody's."""


@undisturbed()
def rehearse_validation(runner: Runner) -> None:
    """Let the validation loop predict and evaluate one batch; no hook hears of it, and no weight changes.

    Several processes do not: one that fails would leave the others waiting.

    Args:
        runner: about to train, its model with the weights that it starts from.

    Raises:
        ConfigError: if an argument of the evaluator is what the evaluation fails by, or the training loop cannot
            tell when to validate.
        Exception: of the model or the evaluator.
    """
    loop = runner.val_loop
    if loop is None or not isinstance(runner.model, nn.Module) or get_world_size() > 1:
        return
    _decide(runner.train_loop)
    training = runner.model.training
    try:
        with _at_most(_SECONDS), silent():
            _validate(runner, loop)
    except _TooLong:
        pass
    except Exception as error:
        if not _is_evaluating(error):
            raise
        _explain(runner, error)
    finally:
        runner.model.train(training)


def _decide(loop: Any) -> None:
    """Ask what a loop asks after each epoch, or iteration."""
    begin, interval = getattr(loop, 'val_begin', 1), getattr(loop, 'val_interval', 1)
    try:
        _ = begin <= 1 and 1 % interval == 0
    except (ArithmeticError, TypeError) as error:
        raise ConfigError(
            f'train_cfg: with val_begin = {begin!r} and val_interval = {interval!r} it cannot be told when to '
            f'validate: {reason(error)}'
        ) from error


def _validate(runner: Runner, loop: Any) -> None:
    """Run a loop on the first batch of each of its loaders."""
    kept = {name: vars(loop)[name] for name in ('dataloader', 'dataloaders') if name in vars(loop)}
    short = {
        name: [_first(one) for one in kept[name]] if name == 'dataloaders' else _first(kept[name]) for name in kept
    }
    vars(runner)['call_hook'] = lambda *_, **__: None
    vars(loop).update(short)
    try:
        loop.run()
    finally:
        vars(loop).update(kept)
        del vars(runner)['call_hook']
        for evaluator in getattr(loop, 'evaluators', None) or [loop.evaluator]:
            for metric in evaluator.metrics:
                getattr(metric, 'results', []).clear()


def _first(loader: Any) -> Any:
    """A loader of the first batch, in this process; what is asked of its dataset is asked of the whole."""
    samples = _Few(loader.dataset, list(range(min(len(loader.dataset), loader.batch_size or 1))))
    return DataLoader(samples, len(samples), collate_fn=loader.collate_fn)


class _Few(Subset[Any]):
    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or name == 'dataset':
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitems__(self, indices: list[int]) -> list[Any]:
        return [self.dataset[self.indices[i]] for i in indices]


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Leave with `_TooLong` after so many seconds, in the main thread and where nobody else uses the alarm."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGALRM) != signal.SIG_DFL:
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise _TooLong

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _is_evaluating(error: Exception) -> bool:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(f.f_code.co_name == 'evaluate' and isinstance(f.f_locals.get('self'), Evaluator) for f in frames)


def _explain(runner: Runner, error: Exception) -> None:
    """Find the arguments without which the evaluation succeeds; where there are none, one batch is too little for it.

    Raises:
        ConfigError: with these arguments.
    """
    faults = []
    for place, value, without in _each_left_out(runner.cfg.get('val_evaluator')):
        try:
            with _at_most(_SECONDS), silent():
                settings = copy.deepcopy(dict(runner.cfg.val_cfg))
                settings.update(dataloader=_loaders(runner.val_loop), evaluator=without)
                _validate(runner, runner.build_val_loop(settings))
        except (_TooLong, Exception):
            continue
        faults.append(
            f'val_evaluator{place} = {value!r}: the evaluation of one batch fails with it, and not without it: '
            f'{reason(error)}{origin(error)}'
        )
    if faults:
        raise ConfigError(*faults)


def _loaders(loop: Any) -> Any:
    return getattr(loop, 'dataloaders', None) or loop.dataloader


def _each_left_out(config: Any) -> Iterator[tuple[str, Any, Any]]:
    """Place and value of each argument of a component, or of several, and the config without it."""
    if isinstance(config, Mapping):
        for name in config:
            if name != 'type':
                yield f'.{name}', config[name], {key: value for key, value in config.items() if key != name}
            for place, value, without in _each_left_out(config[name]) if name == 'metrics' else ():
                yield f'.{name}{place}', value, {**config, name: without}
    elif isinstance(config, (list, tuple)):
        for i, one in enumerate(config):
            for place, value, without in _each_left_out(one):
                yield f'[{i}]{place}', value, [*config[:i], without, *config[i + 1 :]]
