"""Whoever is killed while saving, or has no place left, keeps a good checkpoint."""

import contextlib
import errno
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
import torch

from mmlocal.engine.resume import newest_checkpoint
from mmlocal.engine.resume.durable import write_durably
from mmlocal.errors import ConfigError
from tests.test_engine.toy import die, end_of, forked, toy_runner

# What saving asks of the system, in the order of time: a kill before any of them must lose nothing.
CALLS = ('fsync', 'replace', 'remove', 'unlink')


def watch(monkeypatch, do):
    """Call `do` with the name of each call, and the file's, before it is made."""
    for name in CALLS:
        inner = getattr(os, name)

        def called(target, *args, inner=inner, name=name, **kwargs):
            file = os.readlink(f'/proc/self/fd/{target}') if name == 'fsync' else str(args[0] if args else target)
            do(name, Path(file).name)
            return inner(target, *args, **kwargs)

        monkeypatch.setattr(os, name, called)


def files(folder):
    return sorted(
        path.name for path in folder.iterdir() if path.is_file() and path.suffix != '.py' and path.name != '.lock'
    )


class TestOrder:
    def test_written_beside_flushed_renamed_and_the_old_one_deleted_last(self, tmp_path, monkeypatch):
        calls = []
        watch(monkeypatch, lambda *call: calls.append(call))
        toy_runner(tmp_path, 2, checkpoint=dict(save_best=None)).train()
        second = calls[calls.index(('fsync', '.epoch_2.pth.unfinished')) :]
        assert second == [
            ('fsync', '.epoch_2.pth.unfinished'),
            ('replace', 'epoch_2.pth'),
            ('fsync', tmp_path.name),
            ('fsync', '.last_checkpoint.unfinished'),
            ('replace', 'last_checkpoint'),
            ('fsync', tmp_path.name),
            ('remove', 'epoch_1.pth'),
        ]

    def test_the_best_before_is_deleted_when_the_new_one_is_recorded(self, tmp_path, monkeypatch):
        calls = []
        watch(monkeypatch, lambda *call: calls.append(call))
        toy_runner(tmp_path, 2).train()
        best = [calls.index(('replace', 'best_score_epoch_2.pth')), calls.index(('remove', 'best_score_epoch_1.pth'))]
        recorded = max(i for i, call in enumerate(calls) if call == ('replace', 'last_checkpoint'))
        assert best[0] < recorded < best[1]

    def test_what_hooks_keep_while_a_validation_runs_is_not_in_the_checkpoint_after_it(self, tmp_path):
        toy_runner(tmp_path, 1).train()
        checkpoint = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)
        assert checkpoint['message_hub']['runtime_info']['best_score'] > 0  # written again when the best was found
        assert checkpoint['message_hub']['runtime_info']['loop_stage'] == 'train'
        (kept,) = checkpoint['run_state']['kept']
        assert 'RuntimeInfoHook' not in kept['now']

    def test_what_is_left_is_what_is_to_be_kept(self, tmp_path):
        toy_runner(tmp_path, 5).train()
        assert files(tmp_path) == ['best_score_epoch_5.pth', 'epoch_5.pth', 'last_checkpoint']


@pytest.mark.integration
def test_killed_before_any_call_and_within_any_file(tmp_path, monkeypatch):
    """Every place in saving, once: the run goes on to the same end, from a checkpoint not older than before."""
    count = []
    with monkeypatch.context() as patch:
        watch(patch, lambda *_: count.append(1))
        toy_runner(tmp_path / 'whole').train()
    expected, kept = end_of(tmp_path / 'whole'), files(tmp_path / 'whole')
    assert len(count) > 30

    def killed(work_dir, number):
        left = [number]

        def count_down(*_):
            left[0] -= 1
            if not left[0]:
                die()

        watch(monkeypatch, count_down)
        toy_runner(work_dir).train()

    for number in range(1, len(count) + 1):
        work_dir = tmp_path / f'killed_{number}'
        assert forked(killed, work_dir, number) == -signal.SIGKILL
        found = newest_checkpoint(str(work_dir))
        # The first file takes three calls and `last_checkpoint` as many.
        assert found or number <= 2
        assert forked(lambda folder=work_dir: toy_runner(folder, resume=True).train()) == 0
        assert all(torch.equal(a, b) for a, b in zip(end_of(work_dir), expected, strict=True))
        assert files(work_dir) == kept, number


def test_killed_in_the_middle_of_a_file(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    path.write_bytes(b'old')

    def half():
        inner = Path.open

        def opened(self, *args):
            file = inner(self, *args)
            file.write(b'ne')
            file.flush()
            return die() or file

        monkeypatch.setattr(Path, 'open', opened)
        write_durably(path, b'new')

    assert forked(half) == -signal.SIGKILL
    assert path.read_bytes() == b'old'
    assert (tmp_path / '.file.unfinished').read_bytes() == b'ne'
    write_durably(path, b'new')
    assert (path.read_bytes(), [entry.name for entry in tmp_path.iterdir()]) == (b'new', ['file'])


def failing(work_dir, epochs=3, **kwargs):
    """The sentence that a run ends with which cannot write."""
    with pytest.raises(ConfigError) as error:
        toy_runner(work_dir, epochs, **kwargs).train()
    return str(error.value)


class TestDisk:
    """The last good checkpoint stands, and the message names the cause."""

    @pytest.mark.parametrize('code', [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
    @pytest.mark.parametrize('call', ['fsync', 'replace'])
    def test_a_call_that_fails(self, tmp_path, monkeypatch, call, code):
        def fail(name, file):
            if name == call and '2' in file:
                raise OSError(code, os.strerror(code))

        watch(monkeypatch, fail)
        assert failing(tmp_path) == (
            f'checkpoint {tmp_path}/epoch_2.pth cannot be written: {os.strerror(code)}. '
            f"'{tmp_path}/epoch_1.pth' stands: --resume goes on from it"
        )
        assert files(tmp_path) == ['best_score_epoch_1.pth', 'epoch_1.pth', 'last_checkpoint']
        assert newest_checkpoint(str(tmp_path)) == f'{tmp_path}/epoch_1.pth'

    def test_none_stands_before_the_first(self, tmp_path, monkeypatch):
        def fail(name, _):
            if name == 'fsync':
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        watch(monkeypatch, fail)
        assert failing(tmp_path).endswith(
            'epoch_1.pth cannot be written: No space left on device. There is none before it'
        )
        assert files(tmp_path) == []

    def test_a_limit_of_the_system(self, tmp_path):
        """The real one of the kernel, below the size of a checkpoint."""
        toy_runner(tmp_path, 1).train()
        size = (tmp_path / 'epoch_1.pth').stat().st_size

        def limited():
            resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
            message = failing(tmp_path, 2, resume=True)
            assert "epoch_2.pth cannot be written: File too large. '" in message
            assert message.endswith("epoch_1.pth' stands: --resume goes on from it")

        assert forked(limited) == 0
        assert files(tmp_path) == ['best_score_epoch_1.pth', 'epoch_1.pth', 'last_checkpoint']
        assert newest_checkpoint(str(tmp_path)) == f'{tmp_path}/epoch_1.pth'

    @pytest.mark.integration
    @pytest.mark.parametrize(
        ('spoil', 'cause'), [('fill', 'No space left on device'), ('protect', 'Read-only file system')]
    )
    def test_a_small_disk(self, tmp_path, spoil, cause):
        """A tmpfs of its own, where this system lets one be mounted: filled, or write-protected, behind epoch 1."""
        disk = tmp_path / 'disk'
        disk.mkdir()
        mount = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip('no tmpfs can be mounted')
        work, out = tmp_path / 'work', dict(out_dir=str(disk))
        try:
            toy_runner(work, 1, checkpoint=out).train()
            before = files(disk / 'work')
            if spoil == 'fill':
                fill(disk / 'filling')
            else:
                subprocess.run(['mount', '-o', 'remount,ro', str(disk)], check=True)
            assert failing(work, 2, checkpoint=out, resume=True) == (
                f'checkpoint {disk}/work/epoch_2.pth cannot be written: {cause}. '
                f"'{disk}/work/epoch_1.pth' stands: --resume goes on from it"
            )
            assert files(disk / 'work') == before
            assert newest_checkpoint(str(work)) == f'{disk}/work/epoch_1.pth'
        finally:
            subprocess.run(['umount', '-l', str(disk)], check=False)


def fill(path):
    with contextlib.suppress(OSError), path.open('wb', buffering=0) as file:
        while True:
            file.write(bytes(512))
