"""The Cityscapes layout, read back by the stock datasets and metric."""

import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mini import SEGMENT_CLASSES, SceneSpec, export_cityscapes, label_map, make_scenes
from mini.cityscapes import BACKGROUND, VOID

COUNT = 4


@pytest.fixture(scope='module')
def scenes():
    return {split: list(make_scenes(split, COUNT, 0, SceneSpec(size=64))) for split in ('train', 'val')}


@pytest.fixture(scope='module')
def root(tmp_path_factory, scenes):
    folder = tmp_path_factory.mktemp('cityscapes')
    for split, listed in scenes.items():
        assert export_cityscapes(folder, split, listed) == sum(len(scene.objects) for scene in listed)
    return folder


def stock(root, split, name='BaseSegDataset', **arguments):
    from mmseg import datasets

    with DefaultScope.overwrite_default_scope('mmseg'):
        return getattr(datasets, name)(
            data_root=str(root),
            data_prefix=dict(img_path=f'leftImg8bit/{split}', seg_map_path=f'gtFine/{split}'),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')],
            **arguments,
        )


def ours(root, split):
    return stock(
        root,
        split,
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png',
        metainfo=dict(classes=SEGMENT_CLASSES, palette=[[i, i, i] for i in range(len(SEGMENT_CLASSES))]),
    )


@pytest.mark.parametrize('split', ['train', 'val'])
def test_the_stock_dataset_reads_the_label_maps(root, scenes, split):
    dataset = ours(root, split)
    read = {sample['data_samples'].gt_sem_seg.data.numpy().tobytes() for sample in dataset}
    assert read == {label_map(scene).astype(np.int64).tobytes() for scene in scenes[split]}


def test_the_cityscapes_dataset_finds_the_same_files(root):
    assert len(stock(root, 'train', 'CityscapesDataset')) == COUNT


def test_cities_are_photographs_and_splits_share_none(root):
    cities = [{path.name for path in (root / 'leftImg8bit' / split).iterdir()} for split in ('train', 'val')]
    assert all(cities)
    assert not cities[0] & cities[1]


def test_a_digit_is_its_label_within_a_rim_of_void(scenes):
    scene = next(scene for scene in scenes['train'] if len(scene.objects) > 1)
    labels = label_map(scene)
    for item in scene.objects:
        inside = labels[item.mask]
        assert set(np.unique(inside)) <= {item.label, VOID}
        assert (inside == item.label).mean() > 0.5
    outside = ~np.any([item.mask for item in scene.objects], axis=0)
    assert set(np.unique(labels[outside])) == {BACKGROUND, VOID}
    assert 0 < (labels == VOID).mean() < 0.2


def test_perfect_predictions_have_a_miou_of_one(root):
    from mmseg.evaluation import IoUMetric

    dataset = ours(root, 'val')
    metric = IoUMetric(iou_metrics=['mIoU'])
    metric.dataset_meta = dataset.metainfo
    for sample in dataset:
        truth = sample['data_samples'].gt_sem_seg.data
        predicted = truth.clone()
        predicted[truth == VOID] = 0  # void counts for nothing
        metric.process({}, [dict(gt_sem_seg=dict(data=truth), pred_sem_seg=dict(data=predicted))])
    assert metric.evaluate(len(dataset))['aAcc'] == 100
