"""What a person sees of a run: a bar in a terminal, and every block's loss in logs and other backends."""

import io
import json
import logging
import re
import sys

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader

from mmlocal.engine import ProgressHook

LOSSES = [f'block{i}.loss_square' for i in (1, 2, 3)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def train(make_host, tmp_path, request):
    """Train a thin host in four blocks, three epochs of two iterations."""
    torch.manual_seed(0)
    images = [dict(inputs=torch.randn(3, 64, 64)) for _ in range(4)]

    def run(*hooks, fail_at=None, by_epoch=True):
        host = make_host(partition=dict(type='Stage'), dtype=torch.float32)
        if fail_at is not None:
            host.linear.register_forward_hook(Failing(fail_at))
        length = dict(by_epoch=True, max_epochs=3) if by_epoch else dict(by_epoch=False, max_iters=6)
        runner = Runner(
            model=host,
            work_dir=str(tmp_path),
            train_dataloader=DataLoader(images, batch_size=2),
            train_cfg=length,
            optim_wrapper=dict(type='mmlocal.BlockwiseOptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
            default_hooks=dict(logger=dict(type='LoggerHook', interval=1), checkpoint=None),
            visualizer=dict(
                type='Visualizer', vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
            ),
            experiment_name=re.sub(r'\W', '_', request.node.name),
            log_level='INFO',
        )
        for hook in hooks:
            runner.register_hook(hook)
        runner.train()
        return runner

    yield run
    Visualizer._instance_dict.clear()


class Failing:
    def __init__(self, at):
        self.left = at

    def __call__(self, *_):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError('no more')


def text_of(terminal):
    return re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', terminal.getvalue())


def test_bar_in_a_terminal(train, monkeypatch):
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '200')
    terminal = Terminal()
    monkeypatch.setattr(sys, 'stdout', terminal)
    monkeypatch.setattr('mmlocal.engine.hooks.progress._SECONDS_BETWEEN', 0.0)
    train(ProgressHook())
    shown = text_of(terminal)
    for epoch, done in ((1, 1), (2, 3), (3, 6)):
        assert re.search(rf'epoch {epoch}/3 [━╸╺ ]+ {done}/6 loss [0-9.e-]+ 0:00:0\d left [0-9:-]+', shown), shown
    # Nothing of it is on a line with what is logged, and the cursor is back.
    lines = [line.split('\r')[-1] for line in shown.splitlines()]
    logged = [line for line in lines if 'block1.loss_square' in line]
    assert len(logged) == 6
    assert not any('━' in line for line in logged)
    assert terminal.getvalue().rindex('\x1b[?25h') > terminal.getvalue().rindex('\x1b[?25l')
    assert sys.stdout is terminal


def test_bar_over_iterations_is_drawn_no_oftener_than_an_eye_sees(train, monkeypatch):
    monkeypatch.setenv('TERM', 'xterm')
    terminal = Terminal()
    monkeypatch.setattr(sys, 'stdout', terminal)
    monkeypatch.setattr('mmlocal.engine.hooks.progress._SECONDS_BETWEEN', 3600.0)
    train(ProgressHook(), by_epoch=False)
    shown = text_of(terminal)
    assert 'training' in shown
    assert '6/6' in shown
    assert '2/6' not in shown


def test_terminal_is_given_back_by_a_run_that_fails(train, monkeypatch):
    monkeypatch.setenv('TERM', 'xterm')
    terminal, ends = Terminal(), []
    monkeypatch.setattr(sys, 'stdout', terminal)
    monkeypatch.setattr('atexit.register', ends.append)
    with pytest.raises(RuntimeError, match='no more'):
        train(ProgressHook(), fail_at=2)
    (end,) = ends
    end()
    assert sys.stdout is terminal
    assert terminal.getvalue().endswith('\x1b[?25h') or '\x1b[?25h' in terminal.getvalue()[-40:]


def streams():
    return [h.stream for h in MMLogger.get_current_instance().handlers if type(h) is logging.StreamHandler]


@pytest.mark.parametrize('why', ['no terminal', 'not the first process'])
def test_nothing_is_shown(train, monkeypatch, why):
    shown = io.StringIO() if why == 'no terminal' else Terminal()
    monkeypatch.setattr(sys, 'stdout', shown)
    monkeypatch.setattr('mmlocal.engine.hooks.progress.is_main_process', lambda: why == 'no terminal')
    train(ProgressHook())
    assert 'left' not in shown.getvalue()
    assert '━' not in shown.getvalue()
    assert shown.getvalue().count('block1.loss_square') == 6
    assert shown in streams()


def test_every_block_is_logged(train, tmp_path):
    train()
    (log,) = tmp_path.glob('*/*.log')
    trained = [line for line in log.read_text().splitlines() if 'Epoch(train)' in line]
    assert len(trained) == 6
    assert all(f'{name}: ' in line for line in trained for name in [*LOSSES, '  loss'])
    (scalars,) = tmp_path.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert len(rows) == 6
    assert all(name in row for row in rows for name in [*LOSSES, 'loss'])


def test_every_block_is_in_tensorboard(train, tmp_path):
    train()
    (events,) = tmp_path.glob('*/vis_data/events.*')
    read = EventAccumulator(str(events))
    read.Reload()
    (scalars,) = tmp_path.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    for name in [*LOSSES, 'loss']:
        found = [(event.step, event.value) for event in read.Scalars(name)]
        assert found == [(row['step'], pytest.approx(row[name], rel=1e-6)) for row in rows]
