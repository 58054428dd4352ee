"""Checkpoints that cannot be lost, and what a resumed run has to be told."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from mmengine.dist import all_gather_object, get_rank, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmlocal.engine.hooks.summary import PLAN_KEY, plan_of
from mmlocal.engine.resume.checkpoint_files import last_checkpoint, newest_checkpoint
from mmlocal.engine.resume.durable import DURABLE, all_durably, remove_unfinished, write_durably
from mmlocal.engine.resume.kept import Kept, gradients, repeat_actions, set_gradients
from mmlocal.engine.resume.run_state import (
    data_position,
    differences,
    ends,
    random_state,
    schedule_text,
    set_random_state,
    versions,
)
from mmlocal.engine.resume.work_dir_lock import lock_work_dir, unlock_work_dirs
from mmlocal.errors import ConfigError
from mmlocal.registry import HOOKS

__all__ = ['SafeCheckpointHook']

_KEY = 'run_state'
_REPLACED = 'best_before'
_LENGTHS = {'max_epochs': 'epochs', 'max_iters': 'iterations'}


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """`CheckpointHook` that leaves a good checkpoint whenever it is killed; arguments are the same.

    A checkpoint is written beside, flushed and renamed; then `last_checkpoint` is moved in the same way;
    and what is no longer kept is deleted last. The stock hook deletes first and writes in place. In a
    checkpoint are further the random states of all processes, the attributes of hooks and modules that the
    run has changed (`Kept`), gradients that are being accumulated, the position in the data, and versions.

    Note:
        All processes call `_save_checkpoint_with_step`, as random states are gathered there. The numbers
        of the checkpoints that are kept are in the checkpoint with the one that is deleted after it: a run
        that was killed in between deletes it when it goes on.

    Raises:
        ConfigError: if a checkpoint cannot be written, with the cause and the last one that stands; on
            resume, from a checkpoint without optimizer state, or if none in the work directory is whole.
    """

    by_epoch: bool
    filename_tmpl: str
    max_keep_ckpts: int
    backend_args: dict[str, Any] | None
    file_backend: Any
    keep_ckpt_ids: deque[int]
    _of_processes: dict[str, list[Any]] | None = None
    _resumed: dict[str, Any] | None = None
    kept: Kept | None = None
    # Of the validation that runs.
    _metrics: dict[str, Any] | None = None
    # None where nothing is trained: `Runner.val` and `test` save nothing.
    _files: Any = None

    def before_run(self, runner: Runner) -> None:
        """Choose the newest whole checkpoint where the latest is to be resumed."""
        if runner._resume and runner._load_from is None:
            runner._load_from = newest_checkpoint(runner.work_dir)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Remember what `before_train` is to restore and to tell."""
        if not runner._resume:
            return
        # As mmcv wrote it. mmengine would run this text, to compare numbers of GPUs.
        checkpoint.get('meta', {}).pop('config', None)
        if 'optimizer' not in checkpoint:
            raise ConfigError('resume: the checkpoint holds no optimizer state; start from its weights with load_from')
        if PLAN_KEY in checkpoint and not plan_of(runner):
            plan = '\n    '.join(checkpoint[PLAN_KEY])
            raise ConfigError(
                'resume: the checkpoint was trained by local learning, so its optimizer state does not fit.\n'
                f'  checkpoint:\n    {plan}\n  config:\n    end to end\n'
                '  To start from its weights alone, use load_from'
            )
        info = checkpoint.get('message_hub', {}).get('runtime_info', {})
        lengths = {name: info[name] for name in _LENGTHS if name in info}
        self._resumed = {'lengths': lengths, 'ends': ends(runner), **checkpoint.get(_KEY, {})}

    def before_train(self, runner: Runner) -> None:
        """Write through the durable backend, and tell what a resumed run does not have as it was."""
        self._locked = lock_work_dir(runner.work_dir)
        local = '://' not in str(self.out_dir or runner.work_dir)
        if local and self.backend_args is None and self.file_client_args is None:
            self.backend_args = dict(backend=DURABLE)
        super().before_train(runner)
        if local and is_main_process():
            remove_unfinished(self.out_dir)
            remove_unfinished(runner.work_dir)
        if self.max_keep_ckpts > 0:
            # One more than are kept, between writing and deleting.
            self.keep_ckpt_ids = deque(self.keep_ckpt_ids)
        self._files = self.file_backend
        self._delete_replaced(runner.message_hub.runtime_info.get(_REPLACED, ()))
        self.kept = Kept(runner)
        if self._resumed is not None:
            self._go_on(runner, self._resumed)
            self._resumed = None

    def before_val(self, runner: Runner) -> None:
        """Wait with the best checkpoint until the validation is over."""
        self._metrics = {}

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Save the best checkpoint; within a validation, remember the metrics."""
        if self._metrics is None:
            super().after_val_epoch(runner, metrics)
        else:
            self._metrics = metrics

    def after_val(self, runner: Runner) -> None:
        """Save the best checkpoint, and with it the last one again.

        Not before: what hooks keep while a validation runs would be in it, and a resumed run does not end that one.
        """
        metrics, self._metrics = self._metrics, None
        if metrics is not None:
            super().after_val_epoch(runner, metrics)

    def after_train(self, runner: Runner) -> None:
        """Let other runs into the work directory, if no tool holds it."""
        super().after_train(runner)
        if self._locked:
            unlock_work_dirs(runner.work_dir)

    def _go_on(self, runner: Runner, resumed: dict[str, Any]) -> None:
        changed = differences(resumed.get('versions', {}), versions())
        if changed:
            runner.logger.warning(f'resume: {"; ".join(changed)}: results may differ in their last digits')
        old = resumed.get('data', {})
        moved = differences(old, data_position(runner, 0, 0), ('samples', 'batch_size', 'processes'))
        if moved:
            runner.logger.warning(f'resume: {"; ".join(moved)}: the order of the data is not that of the first run')
        name = 'max_epochs' if runner.train_loop.max_epochs > 1 else 'max_iters'
        before, now = resumed['lengths'].get(name), getattr(runner, name)
        if before is not None and before != now:
            runner.logger.warning(schedule_text(runner, before, now, _LENGTHS[name], resumed['ends']))
        repeat_actions(runner)
        kept, grads, states = (_mine(resumed.get(name)) for name in ('kept', 'gradients', 'random_states'))
        if kept is not None and self.kept is not None:
            self.kept.resume(kept, within_epoch=hasattr(runner.train_loop, 'begins_epochs'))
        if grads is not None:
            set_gradients(runner, grads)
        if states is not None:
            set_random_state(states)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Put in what a run needs to go on; a best checkpoint, of weights alone, has no use for random states."""
        meta = checkpoint['meta']
        checkpoint[_KEY] = {
            'versions': versions(),
            'data': data_position(runner, meta['epoch'], meta['iter']),
            **(self._of_processes or {}),
        }

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        """Write, move `last_checkpoint`, delete: each when what comes before is on the disk."""
        kept = self.keep_ckpt_ids if self.max_keep_ckpts > 0 else deque()
        if self.max_keep_ckpts > 0 and step not in kept:
            kept.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(kept))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        self._of_processes = self._gathered(runner)
        with self._explained(runner, self.last_ckpt):
            runner.save_checkpoint(
                self.out_dir,
                name,
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                write_durably(os.path.join(runner.work_dir, 'last_checkpoint'), os.fsencode(self.last_ckpt))
        self._of_processes = None
        while len(kept) > self.max_keep_ckpts > 0:
            self._delete(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(kept.popleft())))

    def save_within_epoch(self, runner: Runner) -> None:
        """Write one more checkpoint behind the running iteration, that is counted by iterations and not deleted."""
        before = self.by_epoch, self.filename_tmpl, self.max_keep_ckpts
        self.by_epoch, self.filename_tmpl, self.max_keep_ckpts = False, 'iter_{}.pth', -1
        step = runner.iter + 1
        try:
            self._save_checkpoint_with_step(runner, step, meta=dict(epoch=runner.epoch, iter=step))
        finally:
            self.by_epoch, self.filename_tmpl, self.max_keep_ckpts = before

    def _gathered(self, runner: Runner) -> dict[str, list[Any]]:
        """What each process has of its own."""
        mine = {
            'random_states': random_state(),
            'kept': self.kept.state(within_epoch=not self.by_epoch) if self.kept is not None else None,
            'gradients': gradients(runner),
        }
        gathered = all_gather_object(mine)
        return {name: [one[name] for one in gathered] for name in mine}

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """As the stock hook, but what was the best before is deleted when the new one and its record are written."""
        if self._files is None:
            return
        before = self._best()
        runner.message_hub.update_info(_REPLACED, sorted(before))
        self.file_backend = _Keeping(self._files)
        try:
            with self._explained(runner, 'of the best'):
                super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = self._files
        self._delete_replaced(before)

    def _delete_replaced(self, before: Iterable[str]) -> None:
        for path in set(before) - self._best():
            self._delete(path)

    def _best(self) -> set[str]:
        """Paths of the best checkpoints so far."""
        several = getattr(self, 'best_ckpt_path_dict', {})
        return {path for path in [getattr(self, 'best_ckpt_path', None), *several.values()] if path}

    def _delete(self, path: str) -> None:
        if is_main_process():
            if self._files.isfile(path):
                self._files.remove(path)
            elif self._files.isdir(path):  # of a strategy that saves in parts
                self._files.rmtree(path)

    @contextmanager
    def _explained(self, runner: Runner, path: str) -> Iterator[None]:
        """Tell what could not be written, why, and what there is to go on from."""
        try:
            with all_durably() if self.backend_args == dict(backend=DURABLE) else nullcontext():
                yield
        except OSError as error:
            stands = 'There is none before it'
            with suppress(ConfigError):
                last = last_checkpoint(runner.work_dir)
                stands = f'{last!r} stands: --resume goes on from it' if last else stands
            raise ConfigError(f'checkpoint {path} cannot be written: {error.strerror or error}. {stands}') from error


def _mine(states: list[Any] | None) -> Any:
    """What this process had, if it was one of those that saved."""
    return states[get_rank()] if states and get_rank() < len(states) else None


class _Keeping:
    """A file backend that is asked to remove files and does not, as it is too early."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def isfile(self, path: str) -> bool:
        return False

    def isdir(self, path: str) -> bool:
        return False
