import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mini import CLASSES, export_coco, make_scenes, mask_to_polygons, split_digits

COUNTS = {'train': 24, 'val': 12}
TOOL = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'make_mini_coco.py'


def export(root, seed=0):
    return {split: export_coco(root, split, make_scenes(split, count, seed)) for split, count in COUNTS.items()}


def all_bytes(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}


def rasterise(polygons, shape):
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *shape))).astype(bool)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('coco')
    export(root)
    return root


def annotations(root, split='train'):
    return json.loads((root / 'annotations' / f'instances_{split}2017.json').read_text())


def test_layout(root):
    expected = [f'annotations/instances_{split}2017.json' for split in COUNTS]
    expected += [f'{split}2017/{n:012d}.jpg' for split, count in COUNTS.items() for n in range(1, count + 1)]
    assert sorted(all_bytes(root)) == sorted(expected)


def test_same_seed_gives_the_same_bytes(root, tmp_path):
    export(tmp_path)
    assert all_bytes(tmp_path) == all_bytes(root)


def test_another_seed_gives_other_bytes(root, tmp_path):
    export(tmp_path, seed=1)
    first, second = all_bytes(root), all_bytes(tmp_path)
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)


def test_returns_what_it_wrote(tmp_path):
    content = export_coco(tmp_path, 'val', make_scenes('val', 3, 0))
    assert content == annotations(tmp_path, 'val')


@pytest.mark.parametrize('split', COUNTS)
def test_annotation_file(root, split):
    content = annotations(root, split)
    assert list(content) == ['info', 'licenses', 'categories', 'images', 'annotations']
    assert [(c['id'], c['name']) for c in content['categories']] == list(enumerate(CLASSES, start=1))
    assert [entry['id'] for entry in content['images']] == list(range(1, COUNTS[split] + 1))
    assert [entry['id'] for entry in content['annotations']] == list(range(1, len(content['annotations']) + 1))
    licenses = {entry['id'] for entry in content['licenses']}
    for entry in content['images']:
        with Image.open(root / f'{split}2017' / entry['file_name']) as image:
            assert image.size == (entry['width'], entry['height']) == (128, 128)
            assert image.mode == 'RGB'
        assert entry['license'] in licenses
    for entry in content['annotations']:
        assert 1 <= entry['image_id'] <= COUNTS[split]
        assert 1 <= entry['category_id'] <= 10
        assert entry['iscrowd'] == 0
        assert entry['digit'] in split_digits(split)


def test_splits_share_neither_digits_nor_photographs(root):
    train, val = annotations(root), annotations(root, 'val')
    assert not {a['digit'] for a in train['annotations']} & {a['digit'] for a in val['annotations']}
    assert not {i['photo'] for i in train['images']} & {i['photo'] for i in val['images']}


def test_annotations_follow_the_scenes(root):
    items = [(n, item) for n, scene in enumerate(make_scenes('train', COUNTS['train'], 0), 1) for item in scene.objects]
    entries = annotations(root)['annotations']
    assert len(entries) == len(items)
    for entry, (number, item) in zip(entries, items, strict=True):
        assert (entry['image_id'], entry['category_id']) == (number, item.label + 1)
        assert (entry['area'], tuple(entry['bbox'])) == (item.mask.sum(), item.bbox)


def test_polygons_agree_with_area_and_bbox(root):
    for entry in annotations(root)['annotations']:
        drawn = rasterise(entry['segmentation'], (128, 128)).sum()
        assert drawn == pytest.approx(entry['area'], rel=0.03)
        x, y, width, height = entry['bbox']
        for polygon in entry['segmentation']:
            assert len(polygon) >= 6
            assert len(polygon) % 2 == 0
            assert x <= min(polygon[::2])
            assert max(polygon[::2]) <= x + width
            assert y <= min(polygon[1::2])
            assert max(polygon[1::2]) <= y + height


def test_polygons_agree_with_masks():
    for item in (item for scene in make_scenes('val', 12, 0) for item in scene.objects):
        drawn = rasterise(mask_to_polygons(item.mask), item.mask.shape)
        assert (drawn & item.mask).sum() / (drawn | item.mask).sum() > 0.96


def test_holes_stay_open():
    distance = np.hypot(*np.ogrid[-20:21, -20:21])
    one, two = (distance < 18) & (distance > 8), np.ones((30, 60), bool)
    two[5:20, 10:20] = two[8:25, 35:50] = False
    for mask, parts in ((one, 2), (two, 3)):
        polygons = mask_to_polygons(mask)
        assert len(polygons) == parts
        assert rasterise(polygons, mask.shape).sum() == pytest.approx(mask.sum(), rel=0.02)


def test_mask_at_the_border_and_empty_mask():
    full = np.ones((10, 20), bool)
    assert rasterise(mask_to_polygons(full), full.shape).sum() >= 196
    assert mask_to_polygons(~full) == []


def test_scene_of_the_other_split_is_refused(tmp_path):
    scene = next(make_scenes('val', 1, 0))
    with pytest.raises(ValueError, match=f"scene 1 stands on '{scene.photo}', which is no .* 'train'"):
        export_coco(tmp_path, 'train', [scene])


def test_stock_mmdet_reads_and_scores_it(root):
    """Perfect predictions for what `CocoDataset` read are worth about 1.0 to `CocoMetric`."""
    import torch
    from mmdet.datasets import CocoDataset
    from mmdet.evaluation import CocoMetric

    ann_file = str(root / 'annotations' / 'instances_val2017.json')
    dataset = CocoDataset(
        ann_file=ann_file,
        data_prefix={'img': str(root / 'val2017')},
        metainfo={'classes': CLASSES},
        test_mode=True,
    )
    assert len(dataset) == COUNTS['val']
    metric = CocoMetric(ann_file=ann_file, metric='bbox')
    metric.dataset_meta = dataset.metainfo
    for info in (dataset.get_data_info(index) for index in range(len(dataset))):
        assert Path(info['img_path']).is_file()
        boxes = torch.tensor([item['bbox'] for item in info['instances']]).reshape(-1, 4).float()
        labels = torch.tensor([item['bbox_label'] for item in info['instances']], dtype=torch.long)
        found = {'bboxes': boxes, 'labels': labels, 'scores': torch.ones(len(labels))}
        sample = {
            'img_id': info['img_id'],
            'ori_shape': (info['height'], info['width']),
            'pred_instances': found,
        }
        metric.process({}, [sample])
    assert metric.evaluate(len(dataset))['coco/bbox_mAP'] > 0.99
