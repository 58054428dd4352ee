"""A config and data without a fault, and comparing what is said of those that have some."""

import copy
import json
import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from mmlocal.errors import ConfigError, Faults
from mmlocal.hosts import base_datasets_of, import_hosts
from mmlocal.hosts.accounts import reading
from mmlocal.validation import validate
from mmlocal.validation.data import account_of, build_dataset, check_dataset, targets_of
from tests.test_validation.spoiled import PLACE
from tests.test_validation.toys import make_runner  # noqa: F401  a fixture

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    """All that is looked at: whether the files are there."""
    root = tmp_path_factory.mktemp('data') / 'mini-coco'
    (root / 'annotations').mkdir(parents=True)
    for split in ('train', 'val'):
        (root / f'{split}2017').mkdir()
        (root / 'annotations' / f'instances_{split}2017.json').touch()
    return root


@pytest.fixture(scope='module')
def read_once(dataset):
    cfg = Config.fromfile(ROOT / 'configs' / 'man' / 'faster_rcnn_r18_man_mini-coco.py')
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = f'{dataset}/'
    for split in ('val', 'test'):
        cfg[f'{split}_evaluator'].ann_file = f'{dataset}/annotations/instances_val2017.json'
    return cfg


@pytest.fixture
def cfg(read_once):
    """A local detector on a ResNet-18 that has no fault."""
    return copy.deepcopy(read_once)


@pytest.fixture
def faults_of():
    """What is said of a config that is refused."""

    def faults_of(cfg, **kwargs):
        with pytest.raises(ConfigError) as error:
            validate(cfg, **kwargs)
        return list(error.value.faults)

    return faults_of


def is_as_expected(fault, expected):
    return re.fullmatch('.*'.join(map(re.escape, expected.split('...'))), fault)


@pytest.fixture(scope='session')
def assert_faults():
    """Compare faults with sentences, in which `...` stands for anything."""

    def assert_faults(found, expected):
        assert len(found) == len(expected), found
        for fault, sentence in zip(found, expected, strict=True):
            assert is_as_expected(fault, sentence), f'\n{fault}\nis not\n{sentence}'
            assert '\n' not in fault
            assert len(fault) < 500

    return assert_faults


NUM = 4


def write_image(path, size=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def host_config(scope, model, **dataset):
    return dict(default_scope=scope, model=model, train_dataloader=dict(dataset=dataset))


def coco(root):
    images = [dict(id=i, file_name=f'{i}.jpg', height=16, width=16) for i in range(NUM)]
    objects = [dict(id=i, image_id=i, category_id=1 + i % 2, bbox=[2, 2, 8, 8], area=64, iscrowd=0) for i in range(NUM)]
    categories = [dict(id=1, name='cat'), dict(id=2, name='dog')]
    for image in images:
        write_image(root / 'images' / image['file_name'])
    (root / 'a.json').write_text(json.dumps(dict(images=images, annotations=objects, categories=categories)))
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackDetInputs'),
    ]
    return host_config(
        'mmdet',
        dict(type='RetinaNet', bbox_head=dict(type='RetinaHead', num_classes=2)),
        type='CocoDataset',
        data_root=f'{root}/',
        ann_file='a.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(classes=('cat', 'dog')),
        filter_cfg=dict(filter_empty_gt=True, min_size=8),
        pipeline=pipeline,
    )


def voc(root):
    for i in range(NUM):
        write_image(root / 'JPEGImages' / f'{i}.jpg')
    (root / 'Annotations').mkdir()
    box = '<bndbox><xmin>3</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>'
    for i in range(NUM):
        size = '<size><width>16</width><height>16</height></size>'
        content = f'<annotation>{size}<object><name>cat</name>{box}</object></annotation>'
        (root / 'Annotations' / f'{i}.xml').write_text(content)
    (root / 'train.txt').write_text('\n'.join(map(str, range(NUM))))
    return host_config(
        'mmdet',
        dict(type='FasterRCNN', roi_head=dict(bbox_head=dict(num_classes=20))),
        type='VOCDataset',
        data_root=f'{root}/',
        ann_file='train.txt',
        data_prefix=dict(sub_data_root=''),
        filter_cfg=dict(filter_empty_gt=True, min_size=8),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs'),
        ],
    )


def cityscapes(root):
    for i in range(NUM):
        write_image(root / 'images' / f'{i}_leftImg8bit.png')
        labels = np.full((16, 16), i, dtype=np.uint8)
        labels[0] = 255
        (root / 'labels').mkdir(exist_ok=True)
        Image.fromarray(labels).save(root / 'labels' / f'{i}_gtFine_labelTrainIds.png')
    return host_config(
        'mmseg',
        dict(type='EncoderDecoder', decode_head=dict(num_classes=19), auxiliary_head=[dict(num_classes=19)]),
        type='CityscapesDataset',
        data_root=f'{root}/',
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')],
    )


def folders(root):
    for i in range(NUM):
        write_image(root / ('cat', 'dog')[i % 2] / f'{i}.png')
    return host_config(
        'mmpretrain',
        dict(type='ImageClassifier', head=dict(type='LinearClsHead', num_classes=2)),
        type='CustomDataset',
        data_root=f'{root}/',
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
    )


def listed(root):
    cfg = folders(root)
    (root / 'list.txt').write_text('\n'.join(f'{("cat", "dog")[i % 2]}/{i}.png {i % 2}' for i in range(NUM)))
    cfg['train_dataloader']['dataset']['ann_file'] = 'list.txt'
    return cfg


def pairs(root):
    for i in range(NUM):
        write_image(root / 'low' / f'{i}.png', 16)
        write_image(root / 'high' / f'{i}.png', 32)
    return host_config(
        'mmagic',
        dict(type='BaseEditModel', generator=dict(type='EDSRNet', upscale_factor=2)),
        type='BasicImageDataset',
        data_root=f'{root}/',
        data_prefix=dict(img='low', gt='high'),
        pipeline=[
            dict(type='LoadImageFromFile', key='img'),
            dict(type='LoadImageFromFile', key='gt'),
            dict(type='SetValues', dictionary=dict(scale=2)),
            dict(type='PairedRandomCrop', gt_patch_size=16),
            dict(type='PackInputs'),
        ],
    )


def uncropped(root):
    cfg = pairs(root)
    del cfg['train_dataloader']['dataset']['pipeline'][2:4]
    return cfg


@pytest.fixture(scope='session')
def make_data():
    """Write four tiny images in a layout, and give the part of a config that reads them: `make_data['coco'](root)`."""
    return {make.__name__: make for make in (coco, voc, cityscapes, folders, listed, pairs, uncropped)}


@pytest.fixture
def build():
    """The dataset of a config, in the scope of its host."""
    with ExitStack() as stack:

        def build(cfg, place='train_dataloader.dataset'):
            import_hosts(cfg)
            stack.enter_context(DefaultScope.overwrite_default_scope(cfg['default_scope']))
            return build_dataset(cfg['train_dataloader']['dataset'], place)

        yield build


@pytest.fixture
def looked_at(build, tmp_path):
    """Faults and lines of a config's training data."""

    def looked_at(cfg):
        faults, lines = Faults(), []
        with reading() as notes, faults.under():
            dataset = build(cfg)
            try:
                check_dataset(dataset, PLACE, targets_of(cfg), to_train=True)
            finally:
                lines = [
                    line
                    for leaf, where in base_datasets_of(dataset, PLACE)
                    for line in account_of(leaf, notes).lines(where)
                ]
        return [[text.replace(str(tmp_path), 'ROOT') for text in texts] for texts in (faults.found, lines)]

    return looked_at
