"""Processes that are stopped, left behind, or fail."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mmlocal.benchmarks import run_all

WAIT = 'import time, pathlib; pathlib.Path({mark!r}).touch(); time.sleep(60)'


class Steps:
    """A job of small programs; each that ended is one that need not run again, as an epoch with its checkpoint."""

    def __init__(self, folder, *programs):
        self.folder, self.programs, self.seconds = folder, programs, None

    def __str__(self):
        return self.folder.name

    def next_command(self):
        number = len(list(self.folder.glob('done*')))
        if number == len(self.programs):
            return None
        done = f"; open({str(self.folder / f'done{number}')!r}, 'w')"
        return ['-c', self.programs[number] + done]

    def finish(self, seconds):
        self.seconds = seconds


def run(*jobs, at_a_time=2, tell=lambda text: None):
    return run_all(jobs, at_a_time, dict(OMP_NUM_THREADS='1'), tell, interval=0.02)


def test_all_are_run_and_one_that_fails_stops_no_other(tmp_path):
    bad = Steps(tmp_path / 'bad', 'import sys; sys.stderr.write("error: no such thing\\n"); sys.exit(2)')
    threads = 'import os; assert os.environ["OMP_NUM_THREADS"] == "1"'
    good = [Steps(tmp_path / f'good{i}', 'x = 1', threads) for i in (0, 1)]
    (failure,) = run(good[0], bad, good[1])
    assert failure.startswith('bad: failed with exit code 2. error: no such thing')
    assert all(job.seconds is not None for job in good)
    assert bad.seconds is None


def test_an_interruption_ends_what_runs_and_the_next_call_goes_on(tmp_path):
    mark = tmp_path / 'mark'
    job = Steps(tmp_path / 'job', 'x = 1', WAIT.format(mark=str(mark)), 'x = 3')
    started = time.monotonic()

    class Interrupted(Steps):
        def next_command(self):
            if mark.exists():
                raise KeyboardInterrupt
            return super().next_command()

    with pytest.raises(KeyboardInterrupt):
        run(job, Interrupted(tmp_path / 'other', *['import time; time.sleep(0.1)'] * 200))
    assert time.monotonic() - started < 30
    assert sorted(path.name for path in job.folder.glob('done*')) == ['done0']
    job.programs = ('x = 1', 'x = 2', 'x = 3')
    assert run(job) == []
    assert len(list(job.folder.glob('done*'))) == 3


def test_what_a_killed_call_left_behind_is_waited_for_and_not_doubled(tmp_path):
    folder, count, begun = tmp_path / 'job', tmp_path / 'count', tmp_path / 'begun'
    program = f'import time; open({str(begun)!r}, "w"); time.sleep(3); open({str(count)!r}, "a").write("first")'
    code = (
        f'import sys; from pathlib import Path; sys.path.insert(0, {os.path.dirname(__file__)!r}); '
        f'from test_jobs import Steps, run; run(Steps(Path({str(folder)!r}), {program!r}))'
    )
    here = os.path.dirname(__file__)
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([os.path.dirname(os.path.dirname(here)), *sys.path[1:]])}
    first = subprocess.Popen([sys.executable, '-c', code], env=env)
    while not begun.exists():
        assert first.poll() is None
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    again = Steps(folder, f"open({str(count)!r}, 'a').write('second')")
    assert run(again) == []
    assert count.read_text() == 'first'
