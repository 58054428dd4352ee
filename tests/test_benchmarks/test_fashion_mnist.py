"""The loader of Fashion-MNIST: layouts, splits, and files that are missing or broken."""

import gzip
import shutil

import numpy as np
import pytest

from mmlocal.datasets.fashion_mnist import PLACES, FashionMNIST, held_out
from mmlocal.errors import ConfigError


def numbers(split, root, **kwargs):
    """First pixels of the images of a split, which are their numbers, and its labels."""
    dataset = FashionMNIST(split, data_root=str(root), **kwargs)
    samples = [dataset[i] for i in range(len(dataset))]
    return [int(sample['img'][0, 0, 0]) for sample in samples], [sample['gt_label'] for sample in samples]


@pytest.mark.parametrize('compressed', [True, False], ids=['gzipped', 'unpacked'])
@pytest.mark.parametrize('below', ['.', 'raw', 'FashionMNIST/raw'])
def test_every_layout_gives_the_same_images(make_fashion_mnist, tmp_path, below, compressed):
    make_fashion_mnist(tmp_path / below, compressed)
    found, labels = numbers('trainval', tmp_path)
    assert found == list(range(120))
    assert labels == [i % 10 for i in range(120)]


def test_splits_share_nothing_and_the_test_split_has_the_test_files_alone(make_fashion_mnist, tmp_path):
    root = make_fashion_mnist(tmp_path, True)
    train, train_labels = numbers('train', root, val_images=3)
    val, val_labels = numbers('val', root, val_images=3)
    assert sorted(train + val) == list(range(120))
    assert np.bincount(val_labels).tolist() == [3] * 10
    assert np.bincount(train_labels).tolist() == [9] * 10
    assert numbers('test', root)[0] == list(range(200, 220))
    assert FashionMNIST('test', data_root=str(root), test_mode=True)[0]['img'].shape == (28, 28, 3)


def test_the_validation_split_is_the_same_everywhere():
    labels = np.repeat(np.arange(10, dtype=np.uint8), 6)
    np.random.seed(5)  # a run's own seed has no say
    assert held_out(labels, 1).tolist() == [5, 9, 15, 19, 25, 30, 36, 42, 49, 58]


def test_what_is_missing_is_told_with_both_ways_to_get_it(tmp_path, monkeypatch, make_fashion_mnist):
    with pytest.raises(ConfigError, match=r'apt-get install dataset-fashion-mnist.*torchvision') as told:
        FashionMNIST('train', data_root=str(tmp_path))
    assert str(tmp_path) in str(told.value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('mmlocal.datasets.fashion_mnist.PLACES', ('nowhere', 'data'))
    with pytest.raises(ConfigError, match="not in 'nowhere' or 'data'"):
        FashionMNIST('train')
    assert PLACES[0] == '/usr/share/datasets/fashion-mnist'
    make_fashion_mnist(tmp_path / 'data' / 'FashionMNIST' / 'raw', False)
    assert len(FashionMNIST('test')) == 20


def _without_the_last(content):
    return gzip.compress(gzip.decompress(content).replace(b'\0\0\0\x78', b'\0\0\0\x77', 1)[:-784])


def _cut(content):
    return gzip.compress(gzip.decompress(content)[:-1])


@pytest.mark.parametrize(
    ('damage', 'told'),
    [
        (lambda content: content[:-9], 'is broken'),
        (_cut, r'is broken: 94079 bytes for 120x28x28 numbers'),
        (lambda content: b'<html>', 'is no IDX file'),
        (_without_the_last, 'for 120 labels'),
    ],
    ids=['gzip cut off', 'one byte less', 'a page instead', 'one image less'],
)
def test_broken_files_are_told(make_fashion_mnist, tmp_path, damage, told):
    path = make_fashion_mnist(tmp_path, True) / 'train-images-idx3-ubyte.gz'
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConfigError, match=told):
        FashionMNIST('train', data_root=str(tmp_path), val_images=1)


@pytest.mark.parametrize(
    ('kwargs', 'told'),
    [
        (dict(split='valid'), "split = 'valid' is not one of train, val"),
        (dict(split='val', val_images=12), 'below 12'),
        (dict(split='train', val_images=0), 'above 0'),
    ],
)
def test_settings_that_leave_nothing_are_refused(make_fashion_mnist, tmp_path, kwargs, told):
    make_fashion_mnist(tmp_path, False)
    with pytest.raises(ConfigError, match=told):
        FashionMNIST(data_root=str(tmp_path), **kwargs)


def test_one_file_that_is_missing_counts_as_all(make_fashion_mnist, tmp_path):
    root = make_fashion_mnist(tmp_path / 'set', True)
    shutil.move(root / 't10k-labels-idx1-ubyte.gz', tmp_path)
    with pytest.raises(ConfigError, match='Fashion-MNIST is not in'):
        FashionMNIST('train', data_root=str(root))
