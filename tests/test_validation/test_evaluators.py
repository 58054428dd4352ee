"""Evaluators are held against the dataset that they judge."""

import json

import pytest

from mmlocal.errors import Faults
from mmlocal.hosts import base_datasets_of
from mmlocal.hosts.accounts import reading
from mmlocal.validation.data import check_evaluated


@pytest.fixture
def evaluated(build, make_data, tmp_path):
    """What is said of an evaluator whose file is the dataset's, changed."""

    def evaluated(change, metric='bbox'):
        cfg = make_data['coco'](tmp_path)
        whole = json.loads((tmp_path / 'a.json').read_text())
        change(whole)
        (tmp_path / 'b.json').write_text(json.dumps(whole))
        evaluator = dict(type='CocoMetric', ann_file=f'{tmp_path}/b.json', metric=metric)
        faults, odd = Faults(), []
        with reading() as notes, faults.under():
            leaves = list(base_datasets_of(build(cfg), 'val_dataloader.dataset'))
            odd += check_evaluated(dict(val_evaluator=evaluator), 'val', leaves, notes)
        return [[text.replace(str(tmp_path), 'ROOT') for text in texts] for texts in (faults.found, odd)]

    return evaluated


EVALUATORS = {
    'other ids': (
        lambda c: [one.update(id=one['id'] + 9) for one in c['images']],
        "'ROOT/b.json' has no image 0: val_dat",
    ),
    'other images': (
        lambda c: [one.update(file_name=f'x{one["id"]}.jpg') for one in c['images']],
        "'ROOT/b.json' has 'x0.jpg' as image 0, which is '0.jpg' there: val_dataloader.dataset reads 'ROOT/a.json'",
    ),
    'crowd missing': (
        lambda c: c['annotations'][2].pop('iscrowd'),
        'iscrowd is not 0 or 1 in 1 of 4 annotations, first an',
    ),
    'crowd null': (
        lambda c: c['annotations'][2].update(iscrowd=None),
        'iscrowd is not 0 or 1 in 1 of 4 annotations, first',
    ),
    'other order': (
        lambda c: c['categories'].reverse(),
        "'ROOT/b.json' has ('dog', 'cat'), and the labels are numbered",
    ),
    'no such class': (lambda c: c['categories'].pop(), "no category of 'ROOT/b.json' is called dog. It has cat."),
}


@pytest.mark.parametrize('name', EVALUATORS)
def test_evaluator_that_reads_another_set(name, evaluated):
    change, expected = EVALUATORS[name]
    (fault,), _ = evaluated(change)
    assert expected in fault
    assert fault.startswith('val_evaluator.ann_file')


def test_evaluator_of_masks_needs_masks(evaluated):
    (fault,), _ = evaluated(lambda c: None, 'segm')
    assert 'segmentation is missing or empty in 4 of 4 annotations' in fault


def test_evaluator_with_more_images_is_told(evaluated):
    more = dict(id=9, file_name='9.jpg', width=16, height=16)
    expected = "val_evaluator.ann_file = 'ROOT/b.json' has 1 images that val_dataloader.dataset does not read: "
    assert evaluated(lambda c: c['images'].append(more)) == [[], [expected + 'their objects count as missed']]
