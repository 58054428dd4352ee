"""A real training of the benchmark on generated images: interrupted, gone on with, tested once, kept, told."""

import json

import pytest

from mmlocal.benchmarks import Case, Records, Training, config_of, run_all

EPOCHS = 8
TINY = {
    'train_cfg.max_epochs': EPOCHS,
    'train_dataloader.batch_size': 5,
    'train_dataloader.dataset.val_images': 10,
    'val_dataloader.dataset.val_images': 10,
    'custom_hooks': [dict(type='mmlocal.PeakMemoryHook', at_iter=1)],
}
CASE = Case('man', 4)


@pytest.fixture
def make_training(make_fashion_mnist, tmp_path):
    root = make_fashion_mnist(tmp_path / 'set', True)
    roots = {f'{split}_dataloader.dataset.data_root': str(root) for split in ('train', 'val', 'test')}
    about = dict(device='cpu', hardware='a CPU', torch='2', version='0', commit='c')

    def make(seed=0):
        cfg = config_of(CASE, seed, {**TINY, **roots})
        return Training(CASE, seed, cfg, tmp_path / 'work', Records(tmp_path / 'accuracy.json'), about)

    return make


class Stopped(Training):
    """Looks at the folder of another training, and is the interruption that comes after its first checkpoint."""

    def next_command(self):
        if (self.folder.parent / self.watched / 'last_checkpoint').exists():
            raise KeyboardInterrupt
        return ['-c', 'import time; time.sleep(0.05)']


def run(*jobs):
    return run_all(jobs, 2, dict(OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES=''), lambda text: None, interval=0.05)


@pytest.mark.integration
def test_a_training_goes_on_is_tested_once_and_kept(make_training):
    training, watcher = make_training(), make_training(seed=9)
    watcher.__class__, watcher.watched = Stopped, training.folder.name
    with pytest.raises(KeyboardInterrupt):
        run(training, watcher)
    assert not (training.folder / 'epoch_8.pth').exists()
    assert training.records.table('runs') == {}

    assert run(make_training()) == []
    assert 'resumed epoch: ' in (training.folder / 'log.txt').read_text()
    (entry,) = training.records.table('runs').values()
    (tested,) = [json.loads(path.read_text()) for path in (training.folder / 'test').glob('*/*.json')]
    assert entry['test_accuracy'] == pytest.approx(tested['accuracy/top1'], abs=1e-4)
    assert len(entry['val_accuracy']) == EPOCHS
    assert entry['val_accuracy'][entry['best_epoch'] - 1] == max(entry['val_accuracy'])
    assert entry['peak_mib'] > 0.1
    # Weights and momentum of a net of 0.27 M parameters, its copies and heads, in float32.
    assert 2.1 < entry['static_mib'] < 4
    assert make_training().next_command() is None


def test_another_start_of_what_is_kept_trains_nothing_and_again_trains(make_training):
    training = make_training()
    assert training.next_command()[0] == 'tools/train.py'
    training.records.add('runs', training.key, dict(test_accuracy=90.0))
    assert training.next_command() is None
    assert make_training(seed=1).next_command() is not None
    training.forget()
    assert training.next_command() is not None
