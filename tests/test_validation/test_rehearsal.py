"""The first validation, rehearsed: what it finds, what it leaves alone, and that it leaves no trace."""

import signal
import time

import pytest
import torch

from mmlocal.errors import ConfigError
from mmlocal.validation import rehearsal
from mmlocal.validation.rehearsal import rehearse_validation
from tests.test_validation.toys import Counted


def test_it_sees_one_batch_and_leaves_no_trace(make_runner):
    runner = make_runner()
    loop, drawn = runner.val_loop, torch.get_rng_state()
    loader, weights = loop.dataloader, {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.model.train()
    rehearse_validation(runner)
    assert Counted.seen == [2]
    assert loop.dataloader is loader
    assert loop.evaluator.metrics[0].results == []
    assert runner.model.training
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, weights[name]) for name, value in runner.model.state_dict().items())
    assert 'call_hook' not in vars(runner)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    loop.run()
    assert Counted.seen == [2, 5]


def test_argument_that_the_evaluation_fails_by_is_named(make_runner):
    with pytest.raises(ConfigError) as error:
        rehearse_validation(make_runner(metric=dict(digits=2)))
    (fault,) = error.value.faults
    assert fault.startswith(
        'val_evaluator.digits = 2: the evaluation of one batch fails with it, and not without it: KeyError: digits'
    )


def test_evaluation_of_a_whole_set_alone_is_not_refused(make_runner, monkeypatch):
    monkeypatch.setattr(Counted, 'whole', True)
    runner = make_runner(metric=dict(digits=None))
    rehearse_validation(runner)
    assert Counted.seen[0] == 2
    assert runner.val_loop.run() == dict(count=5)


def test_longer_than_it_is_worth(make_runner, monkeypatch):
    monkeypatch.setattr(rehearsal, '_SECONDS', 0.2)
    runner = make_runner()
    monkeypatch.setattr(Counted, 'compute_metrics', lambda *_: time.sleep(10))
    began = time.monotonic()
    rehearse_validation(runner)
    assert time.monotonic() - began < 5
    assert runner.val_loop.evaluator.metrics[0].results == []


@pytest.mark.parametrize('interval', [None, 'often', 0])
def test_when_to_validate(make_runner, interval):
    runner = make_runner()
    runner.train_loop.val_interval = interval
    with pytest.raises(
        ConfigError, match=f'train_cfg: with val_begin = 1 and val_interval = {interval!r} it cannot be'
    ):
        rehearse_validation(runner)
