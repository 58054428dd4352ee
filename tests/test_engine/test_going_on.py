"""What a resumed run takes over, what it says, and what it refuses."""

import logging
import os
import random
import socket

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from mmengine.runner import CheckpointLoader, ValLoop

from mmlocal.engine import BlockwiseAmpOptimWrapper
from mmlocal.engine.resume import newest_checkpoint
from mmlocal.engine.resume.reading import weights_only
from mmlocal.engine.resume.run_state import random_state, set_random_state
from mmlocal.errors import ConfigError
from tests.test_engine.toy import Toy, end_of, toy_runner

pytestmark = pytest.mark.forks


@pytest.fixture
def trained(tmp_path):
    """A work directory with all three checkpoints of a run."""
    toy_runner(tmp_path / 'work', checkpoint=dict(max_keep_ckpts=-1, save_best=None)).train()
    return tmp_path / 'work'


def spoil(path, how):
    content = path.read_bytes()
    if how == 'cut off':
        path.write_bytes(content[:1000])
    elif how == 'damaged':
        middle = content.index(b'PK', 4000) - 2000
        path.write_bytes(content[:middle] + bytes(8) + content[middle + 8 :])
    elif how == 'foreign':
        path.write_text('no checkpoint')
    else:
        torch.save(dict(state_dict={}, meta={}), path)


FAULTS = {
    'cut off': 'is broken: it was cut off after 1000 bytes',
    'damaged': 'is broken: archive/',
    'foreign': 'is not a checkpoint: torch.save did not write it',
    'weights': 'holds no optimizer, message_hub to go on from; to start from its weights use load_from',
}


class TestNewest:
    def test_is_the_one_that_the_run_named(self, trained):
        assert newest_checkpoint(str(trained)) == f'{trained}/epoch_3.pth'

    def test_is_none_where_nothing_was_trained(self, tmp_path):
        assert newest_checkpoint(str(tmp_path / 'nowhere')) is None

    def test_is_found_where_the_folder_was_moved(self, trained):
        moved = trained.rename(trained.with_name('moved'))
        assert newest_checkpoint(str(moved)) == f'{moved}/epoch_3.pth'

    @pytest.mark.parametrize('how', FAULTS)
    def test_what_cannot_be_resumed_is_named_and_passed_over(self, trained, how, monkeypatch):
        said = []
        monkeypatch.setattr('mmlocal.engine.resume.checkpoint_files.print_log', lambda *args: said.append(args))
        spoil(trained / 'epoch_3.pth', how)
        assert newest_checkpoint(str(trained)) == f'{trained}/epoch_2.pth'
        ((warning, logger, level),) = said
        assert (logger, level) == ('current', logging.WARNING)
        assert warning.startswith(f"--resume = '{trained}/epoch_3.pth' {FAULTS[how]}")
        assert warning.endswith(f". Resuming from '{trained}/epoch_2.pth'")

    def test_all_are_named_where_none_is_whole(self, trained):
        for name, how in (('epoch_1.pth', 'foreign'), ('epoch_2.pth', 'weights'), ('epoch_3.pth', 'cut off')):
            spoil(trained / name, how)
            os.utime(trained / name, (int(name[6]), int(name[6])))
        with pytest.raises(ConfigError) as error:
            newest_checkpoint(str(trained))
        assert list(error.value.faults) == [
            f"--resume = '{trained}/epoch_3.pth' {FAULTS['cut off']}",
            f"--resume = '{trained}/epoch_2.pth' {FAULTS['weights']}",
            f"--resume = '{trained}/epoch_1.pth' {FAULTS['foreign']}",
        ]

    def test_is_taken_by_a_runner_that_no_tool_of_ours_starts(self, trained):
        spoil(trained / 'epoch_3.pth', 'cut off')
        runner = toy_runner(trained, resume=True)
        runner.call_hook('before_run')
        runner.load_or_resume()
        assert runner.epoch == 2


class TestInside:
    def test_all_of_it_and_nothing_that_runs_code(self, trained):
        with weights_only():
            checkpoint = CheckpointLoader.load_checkpoint(str(trained / 'epoch_2.pth'), logger='silent')
        state = checkpoint['run_state']
        assert state['versions']['torch'] == torch.__version__
        assert {'mmengine', 'mmlocal', 'numpy'} <= set(state['versions'])
        assert state['data'] == dict(
            epoch=2, iteration=6, batch_of_epoch=0, batch_size=2, processes=1, sampler_seed=0, samples=6
        )
        (random_states,) = state['random_states']
        assert set(random_states) == {'python', 'numpy', 'torch'}
        assert 'momentum_buffer' in checkpoint['optimizer']['state'][0]

    def test_position_within_an_epoch(self, tmp_path):
        toy_runner(tmp_path, 2, checkpoint=dict(by_epoch=False, max_keep_ckpts=-1, save_best=None)).train()
        state = torch.load(tmp_path / 'iter_5.pth', weights_only=False)['run_state']['data']
        assert (state['epoch'], state['batch_of_epoch'], state['iteration']) == (1, 2, 5)


def draws():
    return random.random(), np.random.rand(), np.random.randn(), torch.rand(()).item()


def test_draws_go_on_where_a_state_was_taken():
    np.random.randn()  # numpy keeps the second of a pair
    state = random_state()
    expected = draws()
    set_random_state(state)
    assert draws() == expected


def test_end_to_end_training_draws_on_too(tmp_path):
    """Without seeding by iteration, as the stock loop has it. It does not make up for a validation, which draws."""
    stock = dict(
        loop='EpochBasedTrainLoop', hooks=(), val_interval=9, checkpoint=dict(max_keep_ckpts=-1, save_best=None)
    )
    toy_runner(tmp_path / 'whole', **stock).train()
    torch.manual_seed(7)
    toy_runner(tmp_path / 'resumed', **stock, load_from=f'{tmp_path}/whole/epoch_2.pth', resume=True).train()
    pairs = zip(end_of(tmp_path / 'whole'), end_of(tmp_path / 'resumed'), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def train_as_rank(rank, port, folder):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE='2')
    os.environ['LOCAL_RANK'] = str(rank)
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    stock = dict(
        loop='EpochBasedTrainLoop',
        val_interval=9,
        hooks=(),
        launcher='pytorch',
        cfg=dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel', device_ids=None)),
        randomness=dict(seed=0, diff_rank_seed=True),
        checkpoint=dict(max_keep_ckpts=-1, save_best=None),
    )
    toy_runner(folder / 'whole', **stock).train()
    torch.manual_seed(7)
    toy_runner(folder / 'resumed', **stock, load_from=f'{folder}/whole/epoch_2.pth', resume=True).train()
    torch.distributed.destroy_process_group()


@pytest.mark.integration
def test_every_process_draws_on_from_its_own_state(tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.start_processes(train_as_rank, (port, tmp_path), nprocs=2, start_method='fork')
    states = torch.load(tmp_path / 'whole' / 'epoch_2.pth', weights_only=False)['run_state']['random_states']
    assert len(states) == 2
    assert not torch.equal(states[0]['torch'], states[1]['torch'])
    pairs = zip(end_of(tmp_path / 'whole'), end_of(tmp_path / 'resumed'), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


class TestSaid:
    """Warnings of a run that goes on, in its log."""

    @pytest.fixture
    def said(self, trained, caplog):
        def said(**kwargs):
            runner = toy_runner(trained, resume=True, **kwargs)
            runner.logger.addHandler(caplog.handler)
            runner.logger.setLevel(logging.WARNING)
            with caplog.at_level(logging.WARNING, runner.logger.name):
                runner.train()
            return [message for message in caplog.messages if message.startswith('resume:')]

        return said

    def test_nothing_of_the_same_run(self, said):
        assert said() == []

    def test_more_epochs_and_what_becomes_of_the_schedules(self, said):
        assert said(epochs=6) == [
            'resume: 6 epochs in place of 3. The schedules stay those of the checkpoint: LinearLR ends at epoch 3 '
            '(the config says 6: not used). Behind its end a schedule leaves its parameter as it is then. For the '
            'schedules of the config, start from the weights with load_from'
        ]

    def test_other_versions(self, said, trained):
        path = trained / 'epoch_3.pth'
        checkpoint = torch.load(path, weights_only=False)
        checkpoint['run_state']['versions'].update(torch='1.9.0', mmlocal='0.0.1')
        torch.save(checkpoint, path)
        (sentence,) = said()
        assert sentence.startswith(f'resume: torch 1.9.0, now {torch.__version__}; mmlocal 0.0.1, now ')
        assert sentence.endswith(': results may differ in their last digits')

    def test_other_data(self, said):
        assert said(points=8) == [
            'resume: samples 6, now 8: the order of the data is not that of the first run',
        ]


def test_what_is_said_of_schedules_comes_true(trained):
    """The learning rate stays where the checkpoint's schedule ends."""
    runner = toy_runner(trained, 5, resume=True)
    runner.train()
    assert runner.param_schedulers[0].end == 3
    assert runner.optim_wrapper.param_groups[0]['lr'] == pytest.approx(0.1)


def test_weights_alone_are_not_resumed(trained, tmp_path):
    spoil(trained / 'epoch_3.pth', 'weights')
    with pytest.raises(ConfigError, match='holds no optimizer state; start from its weights'):
        toy_runner(tmp_path / 'other', load_from=f'{trained}/epoch_3.pth', resume=True).train()


def test_a_local_run_is_not_gone_on_with_end_to_end(trained):
    path = trained / 'epoch_3.pth'
    torch.save({**torch.load(path, weights_only=False), 'local_plan': ['stem: head', 'layer1: own']}, path)
    with pytest.raises(ConfigError) as error:
        toy_runner(trained, 4, resume=True).train()
    assert str(error.value) == (
        'resume: the checkpoint was trained by local learning, so its optimizer state does not fit.\n'
        '  checkpoint:\n    stem: head\n    layer1: own\n  config:\n    end to end\n'
        '  To start from its weights alone, use load_from'
    )


class TestValidation:
    """A checkpoint is made before its epoch is validated."""

    def count(self, work_dir, monkeypatch, **kwargs):
        counted, runner = [], toy_runner(work_dir, resume=True, **kwargs)
        inner = ValLoop.run
        monkeypatch.setattr(ValLoop, 'run', lambda loop: counted.append(runner.epoch) or inner(loop))
        runner.train()
        return counted

    def test_is_made_up_for_where_the_run_was_stopped_before_it(self, trained, monkeypatch):
        assert self.count(trained, monkeypatch) == [3]

    def test_is_not_repeated_where_it_is_in_the_checkpoint(self, tmp_path, monkeypatch):
        toy_runner(tmp_path, 2).train()  # the second is the best: saved again with that
        assert self.count(tmp_path, monkeypatch, epochs=2) == []


@pytest.mark.parametrize('steps', [1, 3])
def test_the_loss_scaler_is_in_the_optimizers_state(monkeypatch, steps):
    """Scale and growth count; a scaler of the CPU stands in for the GPU's."""
    monkeypatch.setattr('mmengine.optim.optimizer.amp_optimizer_wrapper.is_cuda_available', lambda: True)

    def make():
        model = Toy()
        optim = BlockwiseAmpOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
        optim.loss_scaler = torch.amp.GradScaler('cpu', init_scale=8.0, growth_interval=2)
        return model, optim

    model, optim = make()
    for _ in range(steps):
        with optim.optim_context(model):
            loss = model(torch.ones(2, 4), mode='loss')['loss']
        optim.update_params(loss)
    _, other = make()
    other.load_state_dict(optim.state_dict())
    assert other.loss_scaler.state_dict() == optim.loss_scaler.state_dict()
    assert other.loss_scaler.get_scale() == 8.0 * 2 ** (steps // 2)
    assert other.loss_scaler._get_growth_tracker() == steps % 2
