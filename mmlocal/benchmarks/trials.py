"""Trying a config: the checks and a whole small training of it, in a process that may hang or fill the memory."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import io
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlocal.cli import exit_with_message, prepare
from mmlocal.config import keys_read
from mmlocal.hosts import import_hosts
from mmlocal.running import train
from mmlocal.validation.building import held_bytes

__all__ = ['Trial', 'small', 'stock_trains', 'try_config', 'warm_up']

# Of a training of a few iterations of small images: some seconds, on a machine that does something else too.
_SECONDS = 90
_BYTES = 3 * 2**30
# A run that a mutation has made long is one that trains after so many.
_ITERATIONS = 5
_SPLITS = ('train', 'val')
_STACK = 'stack.txt'
_FORMAT = 'yapf.yapflib.yapf_api.FormatCode'

Main = Callable[[Config, Hook], None]


@dataclass(frozen=True)
class Trial:
    """What became of a config.

    Attributes:
        outcome: `refused`, `trains`, `traceback` or `hang`.
        said: faults, or the end of the traceback.
        iterations: that were trained.
        seconds: of the process.
        peak_bytes: of its memory.
    """

    outcome: str
    said: str
    iterations: int
    seconds: float
    peak_bytes: int


def small(path: str) -> dict[str, Any]:
    """What a training reads of a config, for two iterations, a validation and a checkpoint."""
    cfg = Config.fromfile(path)
    for split, batch_size in (('train', 2), ('val', 1)):
        loader = dict(batch_size=batch_size, num_workers=0, persistent_workers=False)
        cfg.merge_from_dict({f'{split}_dataloader': dict(loader, dataset=dict(indices=2 * batch_size))})
    by_epoch = 'max_epochs' in cfg.train_cfg
    cfg.train_cfg.update(dict(max_epochs=1, val_interval=1) if by_epoch else dict(max_iters=2, val_interval=2))
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.interval = 1 if by_epoch else 2
    read = keys_read()
    kept: dict[str, Any] = {name: value for name, value in cfg.to_dict().items() if name in read}
    return {name: value for name, value in kept.items() if not name.startswith(('test_', 'tta_'))}


def warm_up(config: Mapping[str, Any]) -> None:
    """Check a config in this process, so that what it imports is there in all that are forked from it."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        cfg = _made(config, 'work_dirs')
        import_hosts(cfg)
        prepare(cfg, _SPLITS)
    gc.freeze()


def try_config(config: Mapping[str, Any]) -> Trial:
    """Check and train a config as `tools/train.py` does, in a forked process."""

    def as_the_tool_does(cfg: Config, hook: Hook) -> None:
        import_hosts(cfg)
        train(prepare(cfg, _SPLITS), hooks=[hook])

    return _forked(config, as_the_tool_does)


def stock_trains(config: Mapping[str, Any]) -> bool:
    """Whether mmengine's runner trains a config, without anything of mmlocal's."""

    def as_stock_does(cfg: Config, hook: Hook) -> None:
        import_hosts(cfg)
        runner = Runner.from_cfg(cfg)
        runner.register_hook(hook)
        runner.train()

    trial = _forked(config, as_stock_does)
    return trial.outcome == 'trains' and trial.iterations > 0


class _Enough(BaseException):
    """No error: the run has shown that it trains."""


class _Counter(Hook):
    priority = 'LOWEST'
    is_kept = False

    def __init__(self) -> None:
        self.iterations = 0

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        self.iterations += 1
        if self.iterations >= _ITERATIONS:
            raise _Enough


def _made(config: Mapping[str, Any], work_dir: str) -> Config:
    return Config({'work_dir': work_dir, 'launcher': 'none', **config})


def _forked(config: Mapping[str, Any], main: Main) -> Trial:
    reader, writer = multiprocessing.Pipe(duplex=False)
    folder = tempfile.mkdtemp(prefix='trial_')
    sys.stdout.flush()
    started, child = time.monotonic(), os.fork()
    if child == 0:
        try:
            # A forked process makes its threads anew; two of autograd's that do so at once fail.
            torch.set_num_threads(torch.get_num_threads())
            writer.send(_run(config, main, folder))
        finally:
            os._exit(0)
    writer.close()
    outcome, said, iterations = 'hang', f'more than {_SECONDS} seconds', 0
    if reader.poll(_SECONDS):
        try:
            outcome, said, iterations = reader.recv()
        except EOFError:
            outcome, said = 'traceback', 'the process died'
    else:
        said += f'; it was in\n{_stack(child, folder)}'
    with contextlib.suppress(ProcessLookupError):  # its workers, too
        os.killpg(child, signal.SIGKILL)
    _, _, used = os.wait4(child, 0)
    shutil.rmtree(folder, ignore_errors=True)
    return Trial(outcome, said, iterations, time.monotonic() - started, used.ru_maxrss * 1024)


def _stack(child: int, folder: str) -> str:
    """Where a process is that does not come to an end."""
    os.kill(child, signal.SIGUSR1)
    time.sleep(1)
    return Path(folder, _STACK).read_text(encoding='utf-8')


def _run(config: Mapping[str, Any], main: Main, folder: str) -> tuple[str, str, int]:
    """What becomes of a config in this process, which is of no use afterwards."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (held_bytes() + _BYTES, -1))
    warnings.filterwarnings('ignore')
    hook, told = _Counter(), io.StringIO()
    guarded = exit_with_message(lambda: main(_made(config, folder), hook))
    with open(os.devnull, 'w') as nothing, open(os.path.join(folder, _STACK), 'w') as stack:
        faulthandler.register(signal.SIGUSR1, file=stack)
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        # Laying out a file that nobody reads would take a second.
        with mock.patch(_FORMAT, lambda text, **_: (text, False)), contextlib.redirect_stderr(told):
            try:
                guarded()
            except _Enough:
                pass
            except SystemExit as error:
                lines = [line for line in told.getvalue().splitlines() if line.startswith('error: ')]
                return ('refused' if error.code == 2 else 'traceback', '\n'.join(lines), hook.iterations)
            except BaseException:
                return 'traceback', traceback.format_exc()[-3000:], hook.iterations
    return 'trains', '', hook.iterations
