"""Splits are held against each other: other classes, another order, the same images."""

import copy
import json

import numpy as np
import pytest

from mmlocal.errors import Faults
from mmlocal.hosts.accounts import reading
from mmlocal.validation.data import Splits, targets_of
from tests.test_validation.spoiled import (
    PLACE,
    dataset_set,
    saved,
)


@pytest.fixture
def held(build, make_data, tmp_path):
    """What is said of a second dataset beside that which is trained on, both changed: faults, and what is odd."""

    def held(layout, first, second):
        cfg = make_data[layout](tmp_path)
        val = copy.deepcopy(cfg)
        first(tmp_path, cfg), second(tmp_path, val)
        faults = Faults()
        with reading() as notes:
            splits = Splits(targets_of(cfg), notes)
            splits.add('train', build(cfg), PLACE, faults)
            splits.add('val', build(val), 'val_dataloader.dataset', faults)
        return faults.found, splits.odd

    return held


def in_val(*names):
    """Folders of classes of another split."""

    def change(root, cfg):
        for name in names:
            saved(f'{root}-val/{name}/9.png')(root, cfg)
        cfg['train_dataloader']['dataset'].update(data_root=f'{root}-val/')

    return change


def other_order(root, cfg):
    whole = json.loads((root / 'a.json').read_text())
    whole['categories'].reverse()
    for image in whole['images']:
        image['file_name'] = f'../images/{image["file_name"]}'
    (root / 'b.json').write_text(json.dumps(whole))
    dataset_set(ann_file='b.json', metainfo=dict(classes=('dog', 'cat')))(root, cfg)


@pytest.mark.parametrize(
    ('layout', 'second', 'expected'),
    [
        ('folders', in_val('cat', 'cow'), "val_dataloader.dataset ('ROOT-val/') lacks dog and has cow, unlike train"),
        ('folders', in_val('cat'), "val_dataloader.dataset ('ROOT-val/') lacks dog, unlike train_dataloader.dataset"),
        ('coco', other_order, 'has the classes of train_dataloader.dataset in another order, dog, cat for cat, dog'),
        ('coco', dataset_set(), 'val_dataloader.dataset has the 4 training images and no others'),
        ('cityscapes', dataset_set(test_mode=True), 'val_dataloader.dataset has the 4 training images and no others'),
    ],
)
def test_splits_that_do_not_go_together(layout, second, expected, held, tmp_path):
    (fault,), odd = held(layout, lambda root, cfg: None, second)
    assert expected in fault.replace(str(tmp_path), 'ROOT')
    assert odd == []


def test_what_has_no_classes_may_be_evaluated_on_what_it_is_trained_on(held):
    def generates(root, cfg):
        del cfg['model']['bbox_head']

    assert held('coco', generates, generates) == ([], [])


def test_some_common_images_are_told(held):
    assert held('coco', dataset_set(indices=3), dataset_set(indices=[0, 3])) == (
        [],
        ['val_dataloader.dataset: 1 of 2 images are trained on, too'],
    )


def test_split_that_its_dataset_does_not_read(build, tmp_path):
    """mmpretrain's MNIST takes the training files for split='test'; with test_mode it takes the others."""
    for i, name in enumerate(('train', 't10k')):
        pixels = np.full((4, 28, 28), i, np.uint8)
        pixels[:, 0, 0] = range(4)
        for kind, head, data in (('images-idx3', (2051, 4, 28, 28), pixels), ('labels-idx1', (2049, 4), np.arange(4))):
            whole = np.array(head, '>i4').tobytes() + data.astype(np.uint8).tobytes()
            (tmp_path / f'{name}-{kind}-ubyte').write_bytes(whole)
    cfg = dict(default_scope='mmpretrain', model=dict(head=dict(num_classes=10)))
    found = []
    for more in ({}, dict(test_mode=True)):
        faults = Faults()
        with reading() as notes:
            splits = Splits(targets_of(cfg), notes)
            for split, own in (('train', {}), ('val', dict(split='test', **more))):
                data = dict(type='MNIST', data_root=str(tmp_path), **own)
                splits.add(
                    split, build(cfg | dict(train_dataloader=dict(dataset=data))), f'{split}_dataloader.dataset', faults
                )
        found.append(faults.found)
    assert found[1] == []
    assert 'has the 4 training images and no others' in found[0][0]
    assert "MNIST takes its files by test_mode, whatever split says (it is 'test'): set test_mode = True" in found[0][0]
