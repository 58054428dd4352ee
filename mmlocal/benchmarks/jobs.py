"""Processes, some at a time, that may be stopped at any moment and are then started again by the same command."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

__all__ = ['Job', 'run_all', 'stop_on_signals']

ROOT = Path(__file__).parents[2]
_PATIENCE = 20.0
"""Seconds that a process has to end after it was asked to."""


class Job(Protocol):
    """Commands that are run one after the other, in a folder of their own."""

    folder: Path

    def next_command(self) -> Sequence[str] | None:
        """Arguments of Python for what is to be done next, or None when all is done."""

    def finish(self, seconds: float) -> None:
        """Keep what was found, after the last command; `seconds` is what the commands took."""


def run_all(
    jobs: Sequence[Job],
    at_a_time: int,
    env: Mapping[str, str],
    tell: Callable[[str], None],
    interval: float = 0.5,
) -> list[str]:
    """Run all jobs, `at_a_time` of them side by side, in their order; one that fails does not stop the others.

    A job whose folder another process works in, be it what an earlier call left behind, is waited for.

    Args:
        jobs: what is to be done.
        at_a_time: processes side by side.
        env: additions to the environment of the processes.
        tell: gets a sentence whenever a job begins, ends or fails.
        interval: seconds between two looks at the processes.

    Returns:
        A sentence for every job that failed.
    """
    waiting, running, failures = deque(jobs), list[_Running](), list[str]()
    try:
        while waiting or running:
            for _ in range(len(waiting) if len(running) < at_a_time else 0):
                job = waiting.popleft()
                begun = _Running.begin(job, env)
                if begun is None:
                    waiting.append(job)
                elif len(running) < at_a_time:
                    running.append(begun)
                    tell(f'{job}: begun or gone on with, log in {job.folder / "log.txt"}')
                if len(running) == at_a_time:
                    break
            for one in list(running):
                outcome = one.look()
                if outcome is not None:
                    running.remove(one)
                    tell(f'{one.job}: {outcome}')
                    if one.failed:
                        failures.append(f'{one.job}: {outcome}')
            time.sleep(interval)
    finally:
        for one in running:
            one.stop()
    return failures


class _Running:
    """A job with its process, and a lock on its folder that the process holds too.

    Whoever kills this process without its children leaves them the lock: they are waited for, and not doubled.
    """

    def __init__(self, job: Job, env: Mapping[str, str], lock: int) -> None:
        self.job, self.failed = job, False
        self._lock, self._started = lock, time.monotonic()
        here = {'PYTHONPATH': os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))}
        self._env = {**os.environ, **here, **env}
        self._process: subprocess.Popen[Any] | None = None
        self._log: IO[str] = open(job.folder / 'log.txt', 'a')  # noqa: SIM115 (closed by `_end`)

    @classmethod
    def begin(cls, job: Job, env: Mapping[str, str]) -> _Running | None:
        """Take the folder, or None where another process has it."""
        job.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(job.folder / 'lock', os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return cls(job, env, lock)

    def look(self) -> str | None:
        """Start the next command when there is one; what became of the job when there is none, else None."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return None
            if code:
                return self._end(f'failed with exit code {code}. {self._last_line()}', failed=True)
        command = self.job.next_command()
        if command is not None:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=self._env,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=[self._lock],
            )
            return None
        seconds = time.monotonic() - self._started
        self.job.finish(seconds)
        return self._end(f'done in {seconds / 60:.1f} minutes')

    def stop(self) -> None:
        """Ask the process to end, and see that it does."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._end('stopped')

    def _end(self, outcome: str, failed: bool = False) -> str:
        self._log.close()
        os.close(self._lock)
        self.failed = failed
        return outcome

    def _last_line(self) -> str:
        lines = (self.job.folder / 'log.txt').read_text(errors='replace').split('\n')
        told = [line for line in lines if line.startswith('error: ')] or [line for line in lines if line.strip()]
        return f'{told[-1]} (log: {self.job.folder / "log.txt"})' if told else ''


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Let SIGTERM end what is inside as SIGINT does: by an exception, so that what was started is ended, too."""

    def ended(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, ended)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
