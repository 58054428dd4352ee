"""Work directories that are in use, and that are new."""

import subprocess
import sys

from mmengine.config import Config

from mmlocal.commands import train


def test_a_second_run_in_a_work_directory_is_refused(call, local_config, tmp_path):
    (tmp_path / 'work').mkdir()
    holder = 'import sys, mmlocal.engine.resume as r; r.lock_work_dir(sys.argv[1]); print(flush=True); sys.stdin.read()'
    command = [sys.executable, '-c', holder, str(tmp_path / 'work')]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        first.stdout.readline()
        found = call('train', local_config, '--work-dir', tmp_path / 'work')
        first.stdin.close()
    assert (found.code, len(found.errors)) == (2, 1)
    assert f'is in use by process {first.pid} on ' in found.errors[0]


def test_a_directory_is_locked_before_a_checkpoint_in_it_is_chosen(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(train, 'lock_work_dir', lambda path, launcher: done.append(('lock', path, launcher)))
    monkeypatch.setattr(train, 'newest_checkpoint', lambda path: done.append(('look', path)))
    train.set_resume(Config(dict(work_dir=str(tmp_path), launcher='slurm')), 'auto')
    assert done == [('lock', str(tmp_path), 'slurm'), ('look', str(tmp_path))]


def test_where_there_is_nothing_to_resume_a_run_starts_from_its_weights(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='weights.pth'))
    assert train.set_resume(cfg, 'auto') is None
    assert (cfg.load_from, cfg.get('resume', False)) == ('weights.pth', False)
