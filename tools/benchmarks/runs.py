"""What the demo and the benchmark of the mini sets share: training a config as a process, and reading its logs."""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What a person wants to follow of a run's log; all of it is in the work directory.
SHOWN = re.compile(
    r'.* - INFO - (Epoch\(|Iter\(|Local learning|Peak of live|Resumed)|  (block\d|detached:|frozen:)|error:'
)


def run(*command, prefix='', env=None):
    """Run a tool, show the lines to follow, and return its seconds; its last lines and an end when it fails."""
    started = time.monotonic()
    last = deque(maxlen=30)
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    for line in process.stdout:
        last.append(line)
        if SHOWN.match(line):
            print(prefix + line.split('INFO - ')[-1].rstrip()[:200], flush=True)
    if process.wait():
        sys.exit(f'{"".join(last)}\n"{" ".join(command)}" failed (its last lines are above)')
    return time.monotonic() - started


def train_once(config, work_dir, *options, **kwargs):
    """Train a config, or go on where it was stopped; what is finished is not trained again.

    Returns:
        Whether it was trained now.
    """
    done = ROOT / work_dir / 'done'
    if done.exists():
        return False
    seconds = run('tools/train.py', config, '--work-dir', str(work_dir), '--resume', *options, **kwargs)
    done.write_text(f'{seconds:.0f}')
    return True


def minutes(work_dir):
    """How long `train_once` took, in the run that finished."""
    return float((ROOT / work_dir / 'done').read_text()) / 60


def results(work_dir, metric):
    """The metric in the last validation, measured peak in MiB, and the median seconds of an iteration."""
    files = sorted((ROOT / work_dir).glob('*/vis_data/scalars.json'))
    logged = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    scores = [entry[metric] for entry in logged if metric in entry]
    peaks = [entry['peak_mib'] for entry in logged if 'peak_mib' in entry]
    times = [entry['time'] for entry in logged if 'time' in entry and 'loss' in entry]
    return scores[-1], peaks[-1], statistics.median(times)
