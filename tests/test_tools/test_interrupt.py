"""Ctrl-C in a training run."""

import os
import signal

import pytest
import torch

from mmlocal.engine import InterruptHook

QUICK = ['train_cfg.max_epochs=1', 'train_dataloader.dataset.indices=4', 'default_hooks.logger.interval=1']


@pytest.fixture
def press(monkeypatch):
    """Press Ctrl-C in the first iteration, so many times."""

    def press(times):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 0:
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(InterruptHook, 'before_train_iter', before_train_iter)

    return press


def test_it_ends_behind_the_iteration_with_a_checkpoint_that_goes_on(call, local_config, local_run, press, tmp_path):
    press(1)
    before = signal.getsignal(signal.SIGINT)
    command = ('train', local_config, '--work-dir', tmp_path, '--cfg-options', *QUICK)
    ended = call(*command)
    assert ended.code == 130
    assert 'Traceback' not in ended.err
    given = ' '.join(map(str, command[1:]))
    assert ended.errors[-1] == f'interrupted. This goes on: python train.py {given} --resume'
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_1.pth']
    assert signal.getsignal(signal.SIGINT) is before
    assert call(*command, '--resume').code == 0
    paths = (tmp_path / 'epoch_1.pth', local_run.checkpoint)
    found, expected = (torch.load(path, weights_only=False)['state_dict'] for path in paths)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_twice_it_ends_at_once(call, local_config, press, tmp_path):
    press(2)
    ended = call('train', local_config, '--work-dir', tmp_path, '--cfg-options', *QUICK)
    assert ended.code == 130
    assert ended.errors[-1].endswith(' --resume')
    assert list(tmp_path.glob('*.pth')) == []


def test_the_line_that_resumes_names_resume_once(monkeypatch):
    from mmlocal.engine.resume.interrupt import _how_to_resume

    monkeypatch.setattr('sys.argv', ['/bin/mmlocal', 'train', 'a b.py', '--resume', 'x.pth', '--amp'])
    assert _how_to_resume() == "interrupted. This goes on: mmlocal train 'a b.py' --amp --resume"
