"""The VOC layout, read back by the stock dataset and metric."""

import xml.etree.ElementTree as ElementTree

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from mini import CLASSES, SceneSpec, export_voc, make_scenes

COUNT = 6


@pytest.fixture(scope='module')
def scenes():
    return {split: list(make_scenes(split, COUNT, 0, SceneSpec(size=64))) for split in ('train', 'val')}


@pytest.fixture(scope='module')
def root(tmp_path_factory, scenes):
    folder = tmp_path_factory.mktemp('voc')
    for split, listed in scenes.items():
        assert export_voc(folder, split, listed) == sum(len(scene.objects) for scene in listed)
    return folder


def stock(root, image_set):
    from mmdet.datasets import VOCDataset

    with DefaultScope.overwrite_default_scope('mmdet'):
        return VOCDataset(
            data_root=str(root),
            ann_file=f'VOC2007/ImageSets/Main/{image_set}.txt',
            data_prefix=dict(sub_data_root='VOC2007/'),
            metainfo=dict(classes=CLASSES),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations', with_bbox=True),
                dict(type='PackDetInputs'),
            ],
            test_mode=True,
        )


@pytest.mark.parametrize(('split', 'image_set'), [('train', 'trainval'), ('val', 'test')])
def test_the_stock_dataset_reads_boxes_and_labels(root, scenes, split, image_set):
    dataset = stock(root, image_set)
    assert len(dataset) == COUNT
    for scene, sample in zip(scenes[split], dataset, strict=True):
        instances = sample['data_samples'].gt_instances
        ignored = sample['data_samples'].ignored_instances
        hidden = [item.visible < 0.8 for item in scene.objects]
        assert sorted(instances.labels.tolist()) == sorted(
            i.label for i, h in zip(scene.objects, hidden, strict=True) if not h
        )
        assert len(ignored.labels) == sum(hidden)
        # The dataset gives pixels from 0, with the last one left out.
        boxes = {(x, y, x + w, y + h) for x, y, w, h in (item.bbox for item in scene.objects)}
        read = torch.cat([instances.bboxes.tensor, ignored.bboxes.tensor])
        assert {(x, y, right + 1, bottom + 1) for x, y, right, bottom in read.int().tolist()} == boxes


def test_the_splits_share_no_name(root):
    names = [{info['img_id'] for info in map(stock(root, s).get_data_info, range(COUNT))} for s in ('trainval', 'test')]
    assert not names[0] & names[1]


def test_what_the_border_cuts_is_truncated(root, scenes):
    """The stock dataset does not read this mark, other readers of VOC do."""
    files = sorted((root / 'VOC2007' / 'Annotations').glob('0*.xml'))
    marks = [[mark.text for mark in ElementTree.parse(file).iterfind('object/truncated')] for file in files]
    assert marks == [[str(int(item.truncated)) for item in scene.objects] for scene in scenes['train']]
    assert {'0', '1'} == {mark for listed in marks for mark in listed}


def test_perfect_predictions_have_a_map_of_one(root):
    from mmdet.evaluation import VOCMetric

    dataset = stock(root, 'test')
    metric = VOCMetric(metric='mAP', eval_mode='11points')
    metric.dataset_meta = dataset.metainfo
    for sample in dataset:
        data = sample['data_samples']
        found = InstanceData(bboxes=data.gt_instances.bboxes.tensor, labels=data.gt_instances.labels)
        found.scores = torch.ones(len(found.labels))
        data.pred_instances = found
        info = data.to_dict()
        for name in ('gt_instances', 'ignored_instances'):
            info[name] = InstanceData(**{**info[name], 'bboxes': info[name]['bboxes'].tensor})
        metric.process({}, [info])
    assert metric.evaluate(len(dataset))['pascal_voc/mAP'] == 1
