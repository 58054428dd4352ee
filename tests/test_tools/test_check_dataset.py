"""The tool that checks the data of a config, on a dataset of every layout."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmpretrain.datasets import CIFAR10

COLUMNS = ('', 'dataset', 'images', 'annotations', 'first sample')
CONFIGS = Path(__file__).parents[2] / 'configs'
LAYOUTS = {
    'faster_rcnn_r18_mini-coco': ['CocoDataset', '2', '5 objects, 10 classes', '3x128x128'],
    'faster_rcnn_r18_mini-voc': ['VOCDataset', '2', '5 objects, 10 classes', '3x128x128'],
    'deeplabv3_r18_mini-cityscapes': ['BaseSegDataset', '2', '11 classes', '3x128x128'],
    'resnet32_mini-digits': ['CustomDataset', '2', '10 classes', '3x32x32'],
    'edsr_x2_mini-div2k': ['BasicImageDataset', '4', '', '3x126x192 to 3x252x384'],
}


@pytest.fixture(scope='module')
def mini_sets(tool, tmp_path_factory):
    """A folder with data/mini-coco and the other layouts, very small."""
    folder = tmp_path_factory.mktemp('sets')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tool('dataset_converters/make_mini_dataset').main(['all', '--train', '4', '--val', '2'])
    return folder


@pytest.fixture
def check(call, monkeypatch):
    """Exit code, cells of the table by split, and faults of the tool, called in a folder."""

    def check(folder, config, *args):
        monkeypatch.chdir(folder)
        result = call('misc/check_dataset', config, *args)
        lines = [[cell.strip() for cell in line.split('│')[1:-1]] for line in result.out.splitlines() if '│' in line]
        # The first table has a row a split; `check.used` are those of the second.
        table = {cells[0]: cells[1:] for cells in lines if len(cells) == len(COLUMNS)}
        check.used = [cells for cells in lines if len(cells) != len(COLUMNS)]
        return result.code, table, [line for line in result.errors if line.startswith('error: ')]

    return check


@pytest.mark.integration
@pytest.mark.parametrize('name', LAYOUTS)
def test_layout(name, check, mini_sets):
    code, table, faults = check(mini_sets, CONFIGS / 'e2e' / f'{name}.py', '--all')
    assert (code, faults) == (0, [])
    assert table['val'] == LAYOUTS[name]
    assert table['test'][0] == 'as val'


@pytest.mark.integration
def test_all_faults_of_all_splits_are_told_with_what_could_be_read(check, tmp_path, mini_sets):
    (tmp_path / 'data').symlink_to(mini_sets / 'data')
    nowhere = 'train_dataloader.dataset.data_root=data/none/'
    classes = 'val_dataloader.dataset.metainfo.classes=(one,too)'
    config = CONFIGS / 'e2e' / 'faster_rcnn_r18_mini-coco.py'
    code, table, faults = check(tmp_path, config, '--cfg-options', nowhere, classes)
    assert code == 2
    assert table['val'][:2] == ['CocoDataset', '2']
    assert 'train' not in table
    starts = [
        "error: train_dataloader.dataset.data_root = 'data/none/' does not exist",
        "error: val_dataloader.dataset.metainfo.classes: no category of 'data/mini-coco/annotations/instances_val2017"
        ".json' is called too. ",
        'error: model.roi_head.bbox_head.num_classes = 10 does not fit the 2 classes of the data: one, too',
    ]
    assert len(faults) == len(starts)
    for fault, start in zip(faults, starts, strict=True):
        assert fault.startswith(start)


@pytest.mark.integration
def test_what_is_not_used_is_told_with_the_first_three(check, tmp_path, mini_sets):
    shutil.copytree(mini_sets / 'data', tmp_path / 'data')
    path = tmp_path / 'data' / 'mini-coco' / 'annotations' / 'instances_train2017.json'
    content = json.loads(path.read_text())
    for one in content['annotations'][1:5]:
        one['area'] = 0
    path.write_text(json.dumps(content))
    code, _, faults = check(tmp_path, CONFIGS / 'e2e' / 'faster_rcnn_r18_mini-coco.py')
    assert (code, faults) == (0, [])
    rows = [row[2:] for row in check.used if row[:2] == ['train', 'objects']]
    read = len(content['annotations'])
    assert rows[0][:2] == [str(read), str(read - 4)]
    assert rows[1][2:4] == ['4', 'area is 0 or less']
    assert ' '.join(row[-1] for row in check.used).count('annotations[') == 3


@pytest.mark.integration
def test_every_broken_image_is_told(check, tmp_path, mini_sets):
    shutil.copytree(mini_sets / 'data', tmp_path / 'data')
    broken = sorted((tmp_path / 'data' / 'mini-digits' / 'train').glob('*/*.png'))[1:3]
    for path in broken:
        path.write_text('no image')
    config = CONFIGS / 'e2e' / 'resnet32_mini-digits.py'
    code, _, faults = check(tmp_path, config, '--all')
    assert code == 2
    assert [fault.split("'")[1] for fault in faults] == [str(path.relative_to(tmp_path)) for path in broken]


@pytest.mark.integration
def test_dataset_of_batches_is_read_where_it_is(check, tmp_path, monkeypatch):
    for i, name in enumerate(('train', 'test')):
        content = pickle.dumps(dict(data=np.full((6, 3072), i, np.uint8), labels=[9, 1, 2, 3, 4, 5]))
        (tmp_path / 'cifar-10-batches-py').mkdir(exist_ok=True)
        (tmp_path / 'cifar-10-batches-py' / name).write_bytes(content)
        monkeypatch.setattr(CIFAR10, f'{name}_list', [[name, hashlib.md5(content).hexdigest()]])
    meta = pickle.dumps(dict(label_names=list(CIFAR10.METAINFO['classes'])))
    (tmp_path / 'cifar-10-batches-py' / 'batches.meta').write_bytes(meta)
    monkeypatch.setitem(CIFAR10.meta, 'md5', hashlib.md5(meta).hexdigest())
    (tmp_path / 'config.py').write_text(
        "_base_ = ['mmpretrain::_base_/datasets/cifar10_bs16.py', 'mmpretrain::_base_/models/resnet18_cifar.py']\n"
        "default_scope = 'mmpretrain'\n"
        f'train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(data_root={str(tmp_path)!r}))\n'
    )
    code, table, faults = check(tmp_path, 'config.py')
    assert (code, faults) == (0, [])
    assert table['train'] == table['val'] == ['CIFAR10', '6', '10 classes', '3x32x32']

    code, _, faults = check(tmp_path, 'config.py', '--cfg-options', 'val_dataloader.dataset.data_root=none/')
    assert code == 2
    assert [fault.split(',')[0] for fault in faults] == [
        'error: val_dataloader.dataset cannot be read: RuntimeError: Cannot find CIFAR10 dataset in none/'
    ]


def test_config_without_data(check, tmp_path):
    (tmp_path / 'config.py').write_text('model = dict(type="X")')
    faults = ["error: config 'config.py' has none of train_dataloader, val_dataloader, test_dataloader"]
    assert check(tmp_path, 'config.py') == (2, {}, faults)
