"""One attempt of a soak: tools/train.py in a process that tells where it is, to be killed; and what a run leaves."""

import contextlib
import importlib.util
import io
import json
import mmap
import multiprocessing
import os
import random
import signal
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import torch
from mmengine.logging import HistoryBuffer

ROOT = Path(__file__).resolve().parents[2]
PHASES = ('start', 'forward', 'save', 'write', 'validation')
ANYWHERE = 'anywhere'
# What a clock, a folder or the heap has a say in.
OF_THE_PROCESS = ('time', 'data_time', 'eta', 'peak_mib', 'cfg', 'meta', 'experiment_name')
OF_THE_PROCESS += ('last_ckpt', 'best_ckpt', 'best_before')


class Attempt:
    """One start of the training tool in a forked process, which tells its phase through shared memory."""

    def __init__(self, work_dir, arguments, stock=False):
        self._phase = mmap.mmap(-1, 2)
        self._process = multiprocessing.get_context('fork').Process(
            target=self._train, args=(work_dir, arguments, stock)
        )
        self._process.start()

    @property
    def phase(self):
        return PHASES[self._phase[0]]

    @property
    def visits(self):
        """Phases that have begun; 256 are none."""
        return self._phase[1]

    @property
    def alive(self):
        return self._process.is_alive()

    def kill(self):
        """SIGKILL to the process and its workers; the phase it was in, or `None` if it had ended before."""
        if not self.alive:
            return None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.join()
        return self.phase if self._process.exitcode == -signal.SIGKILL else None

    def wait(self):
        self._process.join()
        return self._process.exitcode

    def _train(self, work_dir, arguments, stock):
        from mmlocal import running

        os.setsid()
        # A forked process makes its threads anew; two of autograd's that do so at once fail.
        torch.set_num_threads(torch.get_num_threads())
        with Path(work_dir).with_suffix('.log').open('a') as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        sys.argv = ['train.py', *arguments, '--work-dir', str(work_dir), '--resume']
        tool = load_tool('train')
        if stock:
            running.save_safely = lambda cfg: cfg.default_hooks.checkpoint.update(type='CheckpointHook')
        self._watch()
        tool.main()

    def _watch(self):
        from mmengine.fileio import LocalBackend
        from mmengine.hooks import CheckpointHook
        from mmengine.runner import ValLoop

        from mmlocal.engine import ResumableEpochLoop, ResumableIterLoop, SafeCheckpointHook
        from mmlocal.engine.resume.durable import DurableBackend

        for loop in (ResumableEpochLoop, ResumableIterLoop):
            self._tell(loop, 'run_iter', 'forward')
        self._tell(ValLoop, 'run', 'validation')
        for kind in (LocalBackend, DurableBackend):
            self._tell(kind, 'put', 'write')
        for kind in (CheckpointHook, SafeCheckpointHook):
            for name in ('_save_checkpoint_with_step', '_save_best_checkpoint'):
                self._tell(kind, name, 'save')

    def _tell(self, owner, name, phase):
        inner = getattr(owner, name)

        def told(*args, **kwargs):
            before = self._phase[0]
            self._phase[0], self._phase[1] = PHASES.index(phase), (self._phase[1] + 1) % 256
            try:
                return inner(*args, **kwargs)
            finally:
                self._phase[0] = before

        setattr(owner, name, told)


def load_tool(name):
    spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def import_everything():
    """What an attempt would import, so that it need not."""
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):
        from mmlocal.hosts import name_installed_distributions

        name_installed_distributions()
        for host in ('mmpretrain', 'mmdet'):
            for part in ('datasets', 'evaluation', 'models', 'visualization', 'engine'):
                importlib.import_module(f'{host}.{part}')


def phases_of(attempt):
    """Follow an attempt to its end: the phase that begins, each time one does."""
    before = None
    while attempt.alive:
        now = attempt.phase, attempt.visits
        if now != before:
            yield now[0]
        before = now
        time.sleep(0.0003)


def durations(attempt):
    """Mean seconds of each phase, and those of the whole run."""
    begun, seconds, counts, phase = time.monotonic(), Counter(), Counter(), PHASES[0]
    last = begun
    for following in phases_of(attempt):
        now = time.monotonic()
        seconds[phase] += now - last
        counts[following] += 1
        phase, last = following, now
    return {name: seconds[name] / max(1, counts[name]) for name in PHASES} | {ANYWHERE: last - begun}


def kill_somewhere(attempt, draw: random.Random, lasts, wanted):
    """Kill at a random moment of a phase, or of the whole time; not of the phase's first occurrence always."""
    occurrence, moment = draw.choice([1, 1, 2, 3]), draw.uniform(0, lasts[wanted])
    if wanted == ANYWHERE:
        time.sleep(moment)
        return attempt.kill()
    for phase in phases_of(attempt):
        occurrence -= phase == wanted
        if not occurrence:
            time.sleep(moment)
            break
    return attempt.kill()


def newest_whole(work_dir):
    """Iterations of the newest checkpoint that can be read to its end, and of the newest best one; 0 without.

    By no code of mmlocal's.
    """

    def newest(*patterns):
        found = [0]
        for path in (path for pattern in patterns for path in work_dir.glob(pattern)):
            if zipfile.is_zipfile(path) and zipfile.ZipFile(path).testzip() is None:
                found.append(torch.load(path, weights_only=False)['meta']['iter'])
        return max(found)

    return newest('epoch_*.pth', 'iter_*.pth'), newest('best_*.pth')


def result(work_dir):
    """All that a run leaves: the last checkpoint value by value, the names of the files, and what was logged."""
    checkpoint = torch.load((work_dir / 'last_checkpoint').read_text(), weights_only=False)
    found = dict(_leaves(checkpoint, ''))
    found['files'] = sorted(path.name for path in work_dir.glob('*.pth'))
    return found | logged(work_dir)


def _leaves(value, name):
    """Every tensor and number of a checkpoint by its path; histories of logged values are numbers too."""
    if isinstance(value, HistoryBuffer):
        value = [part.tolist() for part in value.data]
    if isinstance(value, dict):
        for key, inner in value.items():
            if str(key).rpartition('/')[2] not in OF_THE_PROCESS:
                yield from _leaves(inner, f'{name}/{key}')
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f'{name}/{i}')
    else:
        yield name, value


def logged(work_dir):
    """Every value that was logged, by step and name; a set, as what was repeated has to be the same."""
    found = {}
    for path in work_dir.glob('*/vis_data/scalars.json'):
        for line in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # the line that was being written
                entry = json.loads(line)
                place = 'train' if 'loss' in entry else 'validation'
                for name, value in entry.items():
                    if name not in OF_THE_PROCESS:
                        found.setdefault(f'{place} {entry["step"]} {name}', set()).add(value)
    return found


def unequal(found, expected):
    """Names of what differs in a bit."""

    def same(name):
        a, b = found.get(name), expected.get(name)
        return torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b

    return sorted(name for name in found.keys() | expected.keys() if not same(name))
