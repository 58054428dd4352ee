"""One run in a work directory, and what may be found there."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys

import pytest
import torch

from mmlocal.engine.resume import lock_work_dir, newest_checkpoint, weights_only
from mmlocal.engine.resume.work_dir_lock import unlock_work_dirs
from mmlocal.errors import ConfigError
from tests.test_engine.toy import forked, toy_runner

# A run that has a worker, as data loaders have, and is in its directory until it is killed.
HOLDER = """
import os, sys, time
from mmlocal.engine.resume import lock_work_dir
lock_work_dir(sys.argv[1])
if os.fork() == 0:
    print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def unlock():
    yield
    unlock_work_dirs()


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, '-c', HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    process.worker = int(process.stdout.readline())
    yield process
    process.kill()
    process.wait()
    os.kill(process.worker, 9)


class TestLock:
    def test_a_second_run_is_refused_with_who_is_in_it(self, holder, tmp_path):
        with pytest.raises(ConfigError) as error:
            lock_work_dir(str(tmp_path))
        told = f'work_dir = {str(tmp_path)!r} is in use by process {holder.pid} on {os.uname().nodename} since 20'
        assert str(error.value).startswith(told)
        assert str(error.value).endswith('. Wait for it, or take another with --work-dir')

    def test_a_killed_run_leaves_none_though_its_workers_live(self, holder, tmp_path):
        holder.kill()
        holder.wait()
        os.kill(holder.worker, 0)
        assert lock_work_dir(str(tmp_path))

    def test_a_run_has_it_once(self, tmp_path):
        assert [lock_work_dir(str(tmp_path)) for _ in range(2)] == [True, False]

    def test_a_process_that_is_forked_has_it_not(self, tmp_path):
        lock_work_dir(str(tmp_path))
        assert forked(lock_work_dir, str(tmp_path)) == 1
        unlock_work_dirs()
        assert forked(lock_work_dir, str(tmp_path)) == 0

    def test_a_directory_that_was_made_anew_is_locked_anew(self, tmp_path):
        work_dir = tmp_path / 'work'
        work_dir.mkdir()
        lock_work_dir(str(work_dir))
        work_dir.rename(tmp_path / 'old')
        work_dir.mkdir()
        assert lock_work_dir(str(work_dir))
        assert forked(lock_work_dir, str(work_dir)) == 1

    def test_only_the_first_process_takes_it(self, holder, tmp_path, monkeypatch):
        for launcher, name in dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK').items():
            monkeypatch.setenv(name, '1')
            assert not lock_work_dir(str(tmp_path), launcher)
            monkeypatch.setenv(name, '0')
            with pytest.raises(ConfigError, match='in use'):
                lock_work_dir(str(tmp_path), launcher)

    @pytest.mark.parametrize('code', [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
    def test_no_locks_are_told_and_no_hindrance(self, code, tmp_path, monkeypatch):
        said = []

        def refuse(*_):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(fcntl, 'lockf', refuse)
        monkeypatch.setattr('mmlocal.engine.resume.work_dir_lock.print_log', lambda text, *_: said.append(text))
        assert not lock_work_dir(str(tmp_path))
        (warning,) = said
        assert warning.startswith(f'work_dir = {str(tmp_path)!r} cannot be locked ({os.strerror(code)})')

    def test_a_runner_has_it_while_it_trains(self, holder, tmp_path):
        with pytest.raises(ConfigError, match='in use by process'):
            toy_runner(tmp_path, 1).train()
        toy_runner(tmp_path / 'other', 1).train()
        assert forked(lock_work_dir, str(tmp_path / 'other')) == 0


def make_directory(path, folder):
    path.unlink()
    path.mkdir()


NAMED = {
    'not UTF-8': lambda path, folder: path.write_bytes(b'\xff\xfe/epoch_9.pth'),
    'not text': lambda path, folder: path.write_bytes(bytes(range(256))),
    'too long': lambda path, folder: path.write_text('a' * 10**6),
    'long name': lambda path, folder: path.write_text('a' * 3000),
    'a directory': make_directory,
    'names a directory': lambda path, folder: path.write_text(str(folder)),
    'names the root': lambda path, folder: path.write_text('/'),
    'names a device': lambda path, folder: path.write_text('/dev/zero'),
    'two lines': lambda path, folder: path.write_text(f'{folder}/epoch_1.pth\n{folder}/epoch_2.pth'),
    'names nothing that is there': lambda path, folder: path.write_text(f'{folder}/epoch_9.pth'),
}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    toy_runner(folder, 2, checkpoint=dict(max_keep_ckpts=-1, save_best=None)).train()
    return folder


class TestLastCheckpoint:
    @pytest.mark.parametrize('how', NAMED)
    def test_that_cannot_be_read_is_passed_over_with_one_warning(self, how, trained, tmp_path, monkeypatch):
        shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
        NAMED[how](tmp_path / 'last_checkpoint', tmp_path)
        said = []
        monkeypatch.setattr('mmlocal.engine.resume.checkpoint_files.print_log', lambda text, *_: said.append(text))
        assert newest_checkpoint(str(tmp_path)) == f'{tmp_path}/epoch_2.pth'
        (warning,) = said
        assert warning.startswith('--resume')
        assert warning.encode()  # which a terminal can show

    @pytest.mark.parametrize('how', NAMED)
    def test_alone_is_refused_in_a_sentence(self, how, tmp_path):
        (tmp_path / 'last_checkpoint').touch()
        NAMED[how](tmp_path / 'last_checkpoint', tmp_path)
        with pytest.raises(ConfigError) as error:
            newest_checkpoint(str(tmp_path))
        assert len(error.value.faults) == 1

    def test_that_is_empty_says_nothing(self, tmp_path):
        (tmp_path / 'last_checkpoint').touch()
        assert newest_checkpoint(str(tmp_path)) is None


def test_links_to_nowhere_are_no_checkpoints(tmp_path):
    (tmp_path / 'epoch_1.pth').symlink_to(tmp_path / 'nowhere')
    assert newest_checkpoint(str(tmp_path)) is None


def test_names_that_are_not_utf8(tmp_path):
    work_dir = os.path.join(tmp_path, os.fsdecode(b'work_\xff'))
    toy_runner(work_dir, 2).train()
    with open(os.path.join(work_dir, os.fsdecode(b'note_\xff.txt')), 'w'):
        pass
    assert newest_checkpoint(work_dir) == f'{work_dir}/epoch_2.pth'
    runner = toy_runner(work_dir, 3, resume=True)
    runner.train()
    assert (runner.epoch, newest_checkpoint(work_dir)) == (3, f'{work_dir}/epoch_3.pth')


def test_a_resumed_run_does_not_run_the_text_of_a_config(trained, tmp_path):
    checkpoint = torch.load(trained / 'epoch_2.pth', weights_only=False)
    checkpoint['meta']['config'] = f'import os\nos.mkdir({str(tmp_path / "ran")!r})'
    torch.save(checkpoint, tmp_path / 'epoch_2.pth')
    runner = toy_runner(tmp_path / 'work', 3, load_from=str(tmp_path / 'epoch_2.pth'), resume=True)
    with weights_only():
        runner.train()
    assert runner.epoch == 3
    assert not (tmp_path / 'ran').exists()
