"""Folders of digits, read back by the stock dataset."""

from collections import Counter

import pytest
from mmengine.registry import DefaultScope
from PIL import Image

from mini import CLASSES, ONE_DIGIT, SceneSpec, export_folders, make_scenes
from mini.folders import SIDE

COUNT = 20


def test_the_stock_dataset_reads_the_classes(tmp_path):
    from mmpretrain.datasets import CustomDataset

    scenes = list(make_scenes('train', COUNT, 0, ONE_DIGIT))
    assert export_folders(tmp_path, 'train', scenes) == COUNT
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = CustomDataset(data_root=str(tmp_path), data_prefix='train', pipeline=[])
    # The dataset numbers the folders by their names' order.
    names = [dataset.CLASSES[dataset.get_data_info(i)['gt_label']] for i in range(len(dataset))]
    assert Counter(names) == Counter(CLASSES[scene.objects[0].label] for scene in scenes)
    assert Image.open(dataset.get_data_info(0)['img_path']).size == (SIDE, SIDE)


def test_an_image_has_one_class(tmp_path):
    crowded = (scene for scene in make_scenes('train', 50, 0, SceneSpec(size=64)) if len(scene.objects) > 1)
    with pytest.raises(ValueError, match=r'scene 1 has [234] digits, and an image has one class'):
        export_folders(tmp_path, 'train', crowded)
