"""Several processes begin alike and end together; a FlexibleRunner, whole or divided among them, trains and resumes."""

import importlib.util
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmlocal.engine import LocalDataParallel

pytestmark = pytest.mark.forks

ROOT = Path(__file__).parents[2]
ALONE = {'RANK': '0', 'LOCAL_RANK': '0', 'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'GLOO_SOCKET_IFNAME': 'lo'}
# Seconds in which a run that is refused has ended everywhere.
SOON = 30


def write_images(folder, of_class):
    generator = np.random.default_rng(0)
    for split in ('train', 'val'):
        for label in range(10):
            (folder / split / f'c{label}').mkdir(parents=True)
            for i in range(of_class):
                cv2.imwrite(f'{folder}/{split}/c{label}/{i}.png', generator.integers(0, 256, (32, 32, 3), np.uint8))


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp('digits')
    write_images(folder / 'two', 2)
    write_images(folder / 'three', 3)
    return folder


@pytest.fixture
def write(digits, tmp_path):
    """Write a config of a few images, two iterations an epoch in two processes; its text may ask for `rank`."""

    def write(text='', root='two'):
        path = tmp_path / 'config.py'
        path.write_text(
            f'import os\nrank = int(os.environ.get("RANK", 0))\n'
            f'_base_ = {str(ROOT / "configs/man/resnet32_man_mini-digits.py")!r}\n'
            f'root = {str(digits)!r}\n'
            'model = dict(backbone=dict(depth=20, partition=dict(_delete_=True, type="Stage")))\n'
            f'dataset = dict(data_root=root + "/" + {root if "rank" in root else repr(root)})\n'
            'loader = dict(batch_size=5, num_workers=0, persistent_workers=False, dataset=dataset)\n'
            'train_dataloader = val_dataloader = test_dataloader = loader\n'
            'custom_hooks = []\n'
            'train_cfg = dict(max_epochs=2, val_interval=1)\n'
            'default_hooks = dict(checkpoint=dict(interval=1))\n' + text
        )
        return path

    return write


@dataclass
class Ended:
    """How a process ended."""

    code: int
    err: str
    out: str

    @property
    def errors(self):
        return [line for line in self.err.splitlines() if line.startswith('error: ')]


def as_rank(rank, count, port, folder, name, arguments, prepare):
    """One process of a tool, without the seconds that a new one needs to import everything."""
    os.environ.update(ALONE, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count), MASTER_PORT=str(port))
    torch.set_num_threads(1)
    for stream, file in ((1, 'out'), (2, 'err')):
        os.dup2(os.open(f'{folder}/{file}{rank}', os.O_WRONLY | os.O_CREAT), stream)
    sys.stdout, sys.stderr = (os.fdopen(stream, 'w', buffering=1) for stream in (1, 2))
    spec = importlib.util.spec_from_file_location('tool', ROOT / 'tools' / f'{name}.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    sys.argv = [f'{name}.py', *map(str, arguments(rank)), '--launcher', 'pytorch']
    prepare(rank)
    tool.main()


@pytest.fixture
def start(tmp_path):
    """Run a tool in several processes: `start('train', lambda rank: [...])` gives how each ended."""

    def start(name, arguments, prepare=lambda rank: None, count=2):
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        context = multiprocessing.get_context('fork')
        args = (count, port, tmp_path, name, arguments, prepare)
        processes = [context.Process(target=as_rank, args=(rank, *args)) for rank in range(count)]
        for process in processes:
            process.start()
        end = time.monotonic() + 2 * SOON
        for process in processes:
            process.join(max(0, end - time.monotonic()))
        hanging = [process for process in processes if process.is_alive()]
        for process in hanging:
            process.kill()
        assert not hanging, [(tmp_path / f'err{rank}').read_text()[-2000:] for rank in range(count)]
        texts = [[(tmp_path / f'{file}{rank}').read_text() for file in ('err', 'out')] for rank in range(count)]
        return [Ended(process.exitcode, *text) for process, text in zip(processes, texts, strict=True)]

    return start


def refused(ended, *expected):
    """All processes, with exit code 2 and these errors."""
    assert [one.code for one in ended] == [2] * len(ended), [one.err[-2000:] for one in ended]
    for one in ended:
        assert len(one.errors) == len(expected), one.err[-2000:]
        for error, pattern in zip(one.errors, expected, strict=True):
            assert re.search(pattern, error), error


@pytest.mark.integration
class TestBeginAlike:
    """Exit code 2 in every process, with the values and the ranks."""

    def test_learning_rates(self, write, start, tmp_path):
        config = write('optim_wrapper = dict(optimizer=dict(lr=0.1 + 0.1 * rank))\n')
        ended = start('train', lambda rank: [config, '--work-dir', tmp_path / 'run'])
        refused(ended, r'optim_wrapper.optimizer.lr = 0.1 in rank 0, 0.2 in rank 1: it has to be the same')
        assert not (tmp_path / 'run').exists()

    def test_lengths_of_the_data(self, write, start, tmp_path):
        """Roots may differ, and what is below them may not; workers may differ."""
        config = write('train_dataloader["num_workers"] = rank\n', root='("two", "three")[rank]')
        ended = start('train', lambda rank: [config, '--work-dir', tmp_path / f'run{rank}'])
        refused(
            ended,
            r'len\(train_dataloader\) = 2 in rank 0, 3 in rank 1',
            r'len\(train_dataloader.dataset\) = 20 in rank 0, 30 in rank 1',
            r'train_dataloader.dataset \(digest of up to 100 records: files, annotations\) = ',
            r'len\(val_dataloader\) = 2 in rank 0, 3 in rank 1',
            r'len\(val_dataloader.dataset\) = 20 in rank 0, 30 in rank 1',
            r'val_dataloader.dataset \(digest of up to 100 records: files, annotations\) = ',
        )


@pytest.mark.integration
class TestEndTogether:
    """What ends one process ends all in seconds, and each says why."""

    def test_a_config_that_is_refused(self, write, start):
        config = write()
        began = time.monotonic()
        ended = start('train', lambda rank: [config if rank == 0 else f'{config}.missing'])
        refused(ended, r'error: rank 1: config .*config.py.missing. does not exist')
        assert time.monotonic() - began < SOON

    def test_one_that_all_refuse(self, write, start):
        config = write('optim_wrapper = dict(optimizer=dict(nestrov=True))\n')
        refused(start('train', lambda rank: [config]), r'^error: optim_wrapper.optimizer.nestrov')

    def test_a_command_line(self, write, start):
        config = write()
        ended = start('train', lambda rank: [config, *['--unknown'] * rank])
        assert [one.code for one in ended] == [2, 2]
        assert ended[0].errors == ['error: rank 1: ended with exit code 2; its own output says why']

    def test_a_crash_while_the_others_wait_for_it(self, write, start, tmp_path):
        """In a collective operation, which cannot be called off."""

        def crash(*_, **__):
            raise RuntimeError('no such thing')

        def prepare(rank):
            if rank == 1:
                LocalDataParallel.__init__ = crash

        config = write()
        ended = start('train', lambda rank: [config, '--work-dir', tmp_path / 'run'], prepare, count=3)
        assert [one.code for one in ended] == [2, 2, 2]
        for one in ended:
            assert len(one.errors) == 1, one.errors
            assert 'rank 1: model_wrapper_cfg: the run cannot be set up: ' in one.errors[0]
            assert 'no such thing' in one.errors[0]


def test_no_launcher_has_started_it(call, write, monkeypatch):
    for name in ALONE:
        monkeypatch.delenv(name, raising=False)
    ended = call('train', write(), '--launcher', 'pytorch')
    assert ended.code == 2
    assert ended.errors == [
        'error: --launcher pytorch: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT not set. Start it by: torchrun '
        '--nproc_per_node=2 tools/train.py CONFIG --launcher pytorch, or tools/dist_train.sh CONFIG 2'
    ]


def weights_of(path):
    return torch.load(path, weights_only=False)['state_dict']


def equal(one, other):
    assert one.keys() == other.keys()
    return [key for key in one if not torch.equal(one[key], other[key])] == []


FLEXIBLE = 'runner_type = "FlexibleRunner"\n'
HOOKS = 'custom_hooks = [dict(type="mmlocal.PeakMemoryHook", at_iter=1)]\n'


@pytest.mark.integration
class TestFlexibleRunner:
    """Through the tool, with all hooks of a local config; a run that is resumed ends as one that was not."""

    def test_divided_among_processes(self, write, start, tmp_path):
        config = write(FLEXIBLE + HOOKS + 'strategy = dict(type="mmlocal.FullyShardedStrategy")\n')
        launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
        arguments = [config, '--work-dir', tmp_path / 'run', '--launcher', 'pytorch']
        env = {**os.environ, **ALONE, 'OMP_NUM_THREADS': '1'}
        ended = subprocess.run(
            [*launch, ROOT / 'tools' / 'train.py', *arguments], env=env, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr[-3000:]
        whole = weights_of(tmp_path / 'run' / 'epoch_2.pth')
        (tmp_path / 'run' / 'epoch_2.pth').unlink()
        resumed = start('train', lambda rank: [config, '--work-dir', tmp_path / 'run', '--resume'])
        assert [one.code for one in resumed] == [0, 0], resumed[0].err[-3000:]
        assert 'resumed epoch: 1, iter: 2' in resumed[0].out
        assert equal(whole, weights_of(tmp_path / 'run' / 'epoch_2.pth'))
        tested = start('test', lambda rank: [config, tmp_path / 'run' / 'epoch_2.pth', '--work-dir', tmp_path / 'test'])
        assert [one.code for one in tested] == [0, 0], tested[0].err[-3000:]
        assert 'accuracy/top1' in tested[0].out

    def test_stock_strategies(self, write, start, call, tmp_path):
        """By the stock strategy of several processes, then by that of one; both write as `SafeCheckpointHook` does."""
        config = write(FLEXIBLE + HOOKS)
        ended = start('train', lambda rank: [config, '--work-dir', tmp_path / 'run'])
        assert [one.code for one in ended] == [0, 0], ended[0].err[-3000:]
        assert 'LocalDataParallel' in (tmp_path / 'run' / 'config.py').read_text()
        one = call('train', config, '--work-dir', tmp_path / 'one')
        assert one.code == 0, one.err[-3000:]
        whole = weights_of(tmp_path / 'one' / 'epoch_2.pth')
        (tmp_path / 'one' / 'epoch_2.pth').unlink()
        assert call('train', config, '--work-dir', tmp_path / 'one', '--resume').code == 0
        assert equal(whole, weights_of(tmp_path / 'one' / 'epoch_2.pth'))

    def test_checkpoints_are_whole_or_not_there(self, call, write, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(28, 'No space left on device')

        config = write(FLEXIBLE)
        assert (
            call('train', config, '--work-dir', tmp_path / 'one', '--cfg-options', 'train_cfg.max_epochs=1').code == 0
        )
        before = (tmp_path / 'one' / 'epoch_1.pth').read_bytes()
        monkeypatch.setattr('mmlocal.engine.resume.durable.os.fsync', full)
        ended = call('train', config, '--work-dir', tmp_path / 'one')
        assert ended.code == 2
        assert 'epoch_1.pth cannot be written: No space left on device' in ended.errors[0]
        assert (tmp_path / 'one' / 'epoch_1.pth').read_bytes() == before

    def test_the_size_of_the_first_image(self, call, write, tmp_path):
        """An auxiliary that has a say in it is asked when there is a model: the strategy builds it."""
        auxiliary = 'dict(type="mmlocal.PatchAuxiliary", patches=3)'
        config = write(FLEXIBLE + f'model["backbone"]["auxiliary"] = {auxiliary}\n')
        ended = call('train', config, '--work-dir', tmp_path / 'run')
        assert ended.code == 2
        place = 'model.backbone.local_auxiliaries.0.patches'
        assert ended.errors[0].startswith(f'error: {place} = 3 does not divide the feature')

    def test_what_is_refused(self, call, write):
        config = write(FLEXIBLE)
        for option, error in {
            'strategy.type=DDPStrategy': "strategy.type = 'DDPStrategy' is for processes that a launcher has started",
            'strategy.type=DDPStrategie': "strategy.type = 'DDPStrategie' is no strategy",
            'runner_type=FlexibelRunner': "runner_type = 'FlexibelRunner' is not a runner. Did you mean 'Flexible",
        }.items():
            ended = call('train', config, '--cfg-options', option)
            assert ended.code == 2
            assert ended.errors[0].startswith(f'error: {error}')
        ended = call('train', write('strategy = dict(type="DDPStrategy")\n'))
        assert ended.errors == [
            "error: strategy is not read by Runner: set runner_type = 'FlexibleRunner', or leave it out"
        ]
