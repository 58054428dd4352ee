"""Training on bad data ends with a sentence that names the file, and what was written stays."""

import json
import shutil

import pytest
import torch

RUN = [
    'train_cfg.max_epochs=1',
    'train_dataloader.sampler.shuffle=False',
    'train_dataloader.dataset.filter_cfg.filter_empty_gt=False',
    'default_hooks.logger.interval=1',
]


@pytest.fixture
def data(mini_coco, tmp_path):
    """The very small set, to be spoiled."""
    return shutil.copytree(mini_coco, tmp_path / 'data')


@pytest.fixture
def train(call, data, tmp_path):
    """Train on `data`: `train(config, *options)` gives exit code and faults."""

    def train(config, *options, more=()):
        annotations = f'{data}/annotations/instances_val2017.json'
        own = [f'{split}_dataloader.dataset.data_root={data}/' for split in ('train', 'val', 'test')]
        own += [f'{split}_evaluator.ann_file={annotations}' for split in ('val', 'test')]
        arguments = [config, '--work-dir', tmp_path / 'work', *more, '--cfg-options', *RUN, *own, *options]
        result = call('train', *arguments)
        assert 'Traceback' not in result.out + result.err
        return result.code, [line for line in result.errors if line.startswith('error: ')]

    return train


def image_of(data, split, index):
    records = json.loads((data / 'annotations' / f'instances_{split}2017.json').read_text())
    return data / f'{split}2017' / records['images'][index]['file_name']


def cut(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return whole


@pytest.mark.integration
def test_image_that_a_worker_cannot_read_in_training(train, data, local_config, tmp_path, monkeypatch):
    # In one process with the test, torch waits that long for a worker that is gone.
    monkeypatch.setattr('torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL', 0.1)
    # Neither the first, the middle nor the last, which are read before.
    broken = image_of(data, 'train', 3)
    whole = cut(broken)
    options = ['train_dataloader.num_workers=1', 'default_hooks.checkpoint.interval=1']
    options += ['default_hooks.checkpoint.by_epoch=False']
    code, faults = train(local_config, *options)
    assert code == 2
    size = broken.stat().st_size
    assert faults == [
        f"error: train_dataloader.dataset: img_path = '{broken}' of sample 3 of 8 is a broken image: its {size} bytes "
        'cannot be read to the end'
    ]
    assert torch.load(tmp_path / 'work' / 'iter_1.pth', weights_only=False)['meta']['iter'] == 1

    broken.write_bytes(whole)
    assert train(local_config, *options, more=['--resume']) == (0, [])
    assert (tmp_path / 'work' / 'iter_4.pth').is_file()


@pytest.mark.integration
def test_image_that_cannot_be_read_in_validation(train, data, host_config, tmp_path):
    broken = image_of(data, 'val', 1)
    broken.write_text('no image')
    # Not of the batch that is rehearsed.
    code, faults = train(host_config, 'train_dataloader.dataset.indices=2', 'val_dataloader.batch_size=1')
    assert code == 2
    assert faults == [
        f"error: val_dataloader.dataset: img_path = '{broken}' of sample 1 of 4 is not an image, whatever its name "
        'says (8 bytes)'
    ]
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()


@pytest.mark.integration
def test_all_that_can_be_known_before_training(train, data, local_config, tmp_path):
    work = tmp_path / 'work'
    work.mkdir()
    (work / 'epoch_7.pth').write_text('of another run')
    cut(image_of(data, 'train', 0))
    annotations = data / 'annotations' / 'instances_val2017.json'
    cut(annotations)
    code, faults = train(local_config, 'model.roi_head.bbox_head.num_classes=4')
    assert code == 2
    assert [fault.split(' = ')[0] for fault in faults] == [
        'error: model.roi_head.bbox_head.num_classes',
        'error: train_dataloader.dataset: img_path',
        'error: val_dataloader.dataset.ann_file',
    ]
    assert (work / 'epoch_7.pth').read_text() == 'of another run'
    assert not list(work.glob('*/vis_data/scalars.json'))
