"""What fails when it is done for the first time is told with its place; later it is an error as any other."""

import errno
import re
import sys
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS, PARAM_SCHEDULERS

from mmlocal.errors import ConfigError
from mmlocal.validation.first_times import FirstTimes
from mmlocal.validation.telling import telling


class Failing(Hook):
    def __init__(self, at, epoch=0, by=LookupError):
        self.at, self.epoch, self.by = at, epoch, by

    def _fail(self, runner, at):
        if self.at == at and runner.epoch >= self.epoch:
            raise self.by(f'no {at}')

    def before_train(self, runner):
        self._fail(runner, 'start')

    def after_train_iter(self, runner, *args, **kwargs):
        self._fail(runner, 'iteration')


def train(runner):
    first = FirstTimes()
    runner.register_hook(first)
    with first.telling(runner):
        runner.train()


def said(runner):
    with pytest.raises(ConfigError) as error:
        train(runner)
    (fault,) = error.value.faults
    return fault


def test_module_of_the_model(make_runner, tmp_path):
    fault = said(make_runner(part=dict(fail='loss', width=2)))
    start = r'model\.part: iteration 1 fails: ValueError: no loss with width 2 \(toys\.py, line \d+\)\. '
    found = re.fullmatch(start + r"It was given fail = 'loss', width = 2\. The traceback is in (.*\.log)", fault)
    assert found, fault
    log = Path(found[1]).read_text()
    assert log.count('Traceback (most recent call last)') == 1
    assert 'in forward' in log
    assert found[1].startswith(str(tmp_path))


def test_validation_is_told_before_an_iteration(make_runner):
    runner = make_runner(part=dict(fail='predict'))
    assert said(runner).startswith('model.part: the first validation fails: ValueError: no predict with width 3')
    assert runner.iter == 0


@pytest.mark.parametrize('by', [LookupError, TypeError])
@pytest.mark.parametrize(('at', 'doing'), [('start', 'training cannot start'), ('iteration', 'iteration 1 fails')])
def test_hook_is_found_though_mmengine_puts_another_error_in_its_place(make_runner, at, doing, by):
    HOOKS.register_module(module=Failing, force=True)
    fault = said(make_runner(hooks=[dict(type='Failing', at=at, by=by)]))
    assert fault.startswith(f'custom_hooks[0]: {doing}: {by.__name__}: no {at} (test_first_times.py, line ')


def test_package_that_a_hook_asks_for(make_runner, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch_tb_profiler', None)
    fault = said(make_runner(hooks=[dict(type='ProfilerHook', on_trace_ready=dict(type='tb_trace'))]))
    start = 'custom_hooks[0]: training cannot start: ImportError: please run ``pip install torch-tb-profiler``'
    assert fault.startswith(start)


def test_what_has_been_done_once_fails_as_ever(make_runner):
    HOOKS.register_module(module=Failing, force=True)
    with pytest.raises(LookupError, match='no iteration'):
        train(make_runner(hooks=[dict(type='Failing', at='iteration', epoch=1)]))


def test_full_memory_is_told_when_there_is_room_again():
    held = []

    def fill():
        hoard = torch.zeros(1)
        held.append(hoard)
        raise MemoryError

    with (
        pytest.raises(ConfigError, match='the run cannot be set up: MemoryError'),
        telling({}, 'the run cannot be set up'),
    ):
        fill()


def test_disk_says_all_by_itself():
    with pytest.raises(OSError, match='full'), telling({}, 'the run cannot be set up'):
        raise OSError(errno.ENOSPC, 'full')


def test_component_that_is_being_built_is_named():
    cfg = dict(a=[dict(type='ConstantLR', factor=0.5), dict(type='LinearLR', start_factor=7)])
    with (
        pytest.raises(ConfigError, match=r'^a\[1\]: x: TypeError: .* It was given start_factor = 7\.'),
        telling(cfg, 'x'),
    ):
        PARAM_SCHEDULERS.build(cfg['a'][1])


def test_what_has_no_type_is_found_by_its_value():
    cfg = dict(model=dict(type='A', neck=dict(), head=[dict(width=3)]))
    with pytest.raises(ConfigError, match=r'^model\.head\[0\]: x: KeyError'), telling(cfg, 'x'):
        MODELS.build(cfg['model']['head'][0])
