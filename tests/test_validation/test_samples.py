"""Reading samples: an error names the file wherever it is raised, and checking leaves no trace."""

import copy
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from torch._utils import ExceptionWrapper

from mmlocal.errors import ConfigError
from mmlocal.hosts.accounts import reading
from mmlocal.registry import TRANSFORMS
from mmlocal.validation.data import DataError, check_dataset, targets_of

PLACE = 'train_dataloader.dataset'


@pytest.fixture
def data(make_data, tmp_path):
    return make_data['coco'](tmp_path)


@pytest.fixture
def cut(tmp_path):
    """Cut one of the images."""

    def cut(index):
        path = tmp_path / 'images' / f'{index}.jpg'
        path.write_bytes(path.read_bytes()[:300])

    return cut


@pytest.fixture
def checked(data, build):
    """A dataset whose checked samples have no fault."""
    dataset = build(data)
    check_dataset(dataset, PLACE, targets_of(data))
    return dataset


def test_error_of_a_worker_is_one_sentence(checked, cut, tmp_path):
    cut(1)
    try:
        checked[1]
    except DataError:
        handed_on = ExceptionWrapper(where='in DataLoader worker process 0')
    with pytest.raises(DataError) as error:
        handed_on.reraise()
    (fault,) = error.value.faults
    assert fault.startswith(f"{PLACE}: img_path = '{tmp_path}/images/1.jpg' of sample 1 of 4 is a broken image: ")
    assert '\n' not in fault


def test_dataset_that_is_given_another_pipeline_still_names_the_file(checked, cut):
    cut(1)
    checked.pipeline = Compose([dict(type='LoadImageFromFile')])
    with pytest.raises(DataError, match=r'1\.jpg'):
        checked[1]


def test_checked_dataset_can_be_copied_and_pickled(checked, cut):
    copies = [copy.deepcopy(checked), pickle.loads(pickle.dumps(checked)), checked.get_subset(2)]
    cut(1)
    for other in copies:
        with pytest.raises(DataError, match=r'1\.jpg'):
            other[1]


@TRANSFORMS.register_module()
class Remember:
    """Keeps what it has seen, as mosaics do, and draws of every generator."""

    def __init__(self):
        self.seen = []

    def __call__(self, results):
        self.seen.append(results['img_path'])
        random.random(), np.random.rand(), torch.rand(1)
        return results


def test_check_leaves_no_trace(data, build):
    data['train_dataloader']['dataset']['pipeline'].insert(0, dict(type='mmlocal.Remember'))

    def draws():
        return random.random(), np.random.rand(), torch.rand(1).item()

    def seed():
        random.seed(0), np.random.seed(0), torch.manual_seed(0)

    dataset = build(data)
    seed()
    undisturbed = draws()
    seed()
    check_dataset(dataset, PLACE, targets_of(data))
    assert draws() == undisturbed
    assert dataset.pipeline.transforms[0].seen == []


def test_run_reads_three_samples(data, build, cut):
    cut(1)
    dataset = build(data)
    check_dataset(dataset, PLACE, targets_of(data))
    for index in (0, 2, 3):
        cut(index)
    with pytest.raises(ConfigError) as error:
        check_dataset(dataset, PLACE, targets_of(data))
    assert [fault.split("jpg'")[0][-2:] for fault in error.value.faults] == ['0.', '2.', '3.']


def test_annotation_file_is_read_once(data, build, monkeypatch):
    monkeypatch.setattr('mmengine.load', None)
    with reading():
        check_dataset(build(data), PLACE, targets_of(data))
