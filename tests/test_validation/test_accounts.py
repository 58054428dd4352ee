"""What of a dataset is not used is counted by reason."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from mmlocal.hosts.accounts import reading
from mmlocal.registry import TRANSFORMS
from mmlocal.validation.building import weightless
from mmlocal.validation.data import account_of
from tests.test_validation.spoiled import (
    PLACE,
    annotations,
    both,
    box,
    content,
    dataset_set,
    masks,
    objects,
    of_colours,
    passed_over,
    saved,
    size_of,
    turned,
    two_classes,
    voc_object,
)

# What is said, by layout: the dataset trains, and a line says what of it is not used.
COUNTED = {
    'box without size': ('coco', box([2, 2, 0, 8], 1), '3 of 4 objects are not used: width or height of the box is 0'),
    'negative box': ('coco', box([9, 9, -8, -8], 1), '3 of 4 objects are not used: width or height of the box is neg'),
    'box outside': ('coco', box([99, 2, 8, 8], 2), '2 of 4 objects are not used: the box is outside of the image (ann'),
    'box in fractions': ('coco', box([0.1, 0.1, 0.5, 0.5], 3), '1 of 4 objects is not used: the box is less than one'),
    'box beyond': ('coco', box([2, 2, 40, 8], 3), '1 of 4 objects are used, and their boxes reach beyond the image by'),
    'area 0': ('coco', annotations(lambda i, a: a.update(area=0) if i else None), '3 of 4 objects are not used: area'),
    'ignored': (
        'coco',
        annotations(lambda i, a: a.update(ignore=1) if i else None),
        '3 of 4 objects are not used: ign',
    ),
    'crowd': ('coco', annotations(lambda i, a: a.update(iscrowd=i)), '3 of 4 objects are not used: iscrowd = 1'),
    'no category': (
        'coco',
        annotations(lambda i, a: a.update(category_id=77) if i else None),
        '3 of 4 objects are not used: category_id is that of no category (annotations[1]',
        '3 of 4 images are not used: they have no object of the classes',
    ),
    'category that is not read': (
        'coco',
        both(
            dataset_set(metainfo=dict(classes=('cat',))),
            lambda root, cfg: cfg['model']['bbox_head'].update(num_classes=1),
        ),
        "2 of 4 objects are not used: their category is none of metainfo.classes: dog (annotations[1] of '1.jpg', ",
    ),
    'no image': (
        'coco',
        annotations(lambda i, a: a.update(image_id=i or 77)),
        '1 of 4 objects is not used: image_id is',
    ),
    'size 0': (
        'coco',
        both(size_of(0, width=0), dataset_set(filter_cfg=None)),
        '1 of 4 objects is not used: width or height of their image is 0',
    ),
    'small image': (
        'coco',
        size_of(0, width=4),
        "1 of 4 images is not used: they are below filter_cfg.min_size = 8 ('0",
    ),
    'same record': (
        'coco',
        content(lambda c: c['images'].append(c['images'][0])),
        '1 of 5 images is not used: the same',
    ),
    'indices': ('coco', dataset_set(indices=3), '1 of 4 images is not used: they are not among the indices'),
    'another size': (
        'coco',
        both(size_of(0, width=12), size_of(1, width=12)),
        "2 of 4 images looked at have another size than their annotations say: 'ROOT/images/0.jpg' is read with 16",
    ),
    'turned': (
        'coco',
        turned,
        '4 of 4 images looked at have another size than their annotations say, and the EXIF data',
    ),
    'missing': ('coco', passed_over, 'ignore_empty = True passes over 1 of the 4 files looked for: ROOT/images/1.jpg'),
    'other name': (
        'voc',
        objects(voc_object('Cat'), voc_object('cat ')),
        "2 of 4 objects are not used: their name is none of metainfo.classes: 'Cat' 1 times. Did you mean 'cat'? '",
    ),
    'difficult': ('voc', objects(voc_object(more='<difficult>1</difficult>')), '1 of 4 objects is not used: difficult'),
    'swapped corners': (
        'voc',
        objects(voc_object(corners=(9, 9, 3, 3))),
        '1 of 4 objects are used, and width or height',
    ),
    'image in another folder': (
        'folders',
        saved('9.png'),
        '1 of 5 images is not used: they are in no folder of a class',
    ),
    'image of another kind': (
        'folders',
        saved('cat/9.webp'),
        "1 of 5 images is not used: extensions = ['.bmp', ... does not read .webp ('cat/9.webp')",
    ),
    'picture of another kind': (
        'cityscapes',
        saved('images/9.jpg'),
        "1 of 5 images is not used: img_suffix = _leftImg8bit.png does not read .jpg ('9.jpg')",
    ),
    'map of no image': (
        'cityscapes',
        saved('labels/9_gtFine_labelTrainIds.png', mode='L'),
        "1 label maps are of no image that is read ('9_gtFine_labelTrainIds.png')",
    ),
    'binary maps': (
        'cityscapes',
        both(two_classes, masks(255, 255, 0, 0)),
        'the 4 label maps have no pixel of digit; 50.0% of their pixels are 255, which the losses leave out',
    ),
    'target of no input': ('pairs', saved('high/9.png'), "1 files of data_prefix.gt go with none of img ('9.png')"),
    'input of another kind': (
        'pairs',
        saved('low/9.webp'),
        '1 of 5 images is not used: img_suffix = ... does not read .w',
    ),
}


def begins(line, expected):
    return re.match('.*'.join(map(re.escape, f'{PLACE}: {expected}'.split('...'))), line)


@pytest.mark.parametrize('name', COUNTED)
def test_what_is_not_used_is_counted(name, make_data, looked_at, tmp_path):
    layout, spoil, *expected = COUNTED[name]
    cfg = make_data[layout](tmp_path)
    spoil(tmp_path, cfg)
    faults, lines = looked_at(cfg)
    assert faults == []
    for sentence in expected:
        assert any(begins(line, sentence) for line in lines), lines


@pytest.mark.parametrize('layout', ['coco', 'voc', 'folders', 'listed', 'pairs'])
def test_of_good_data_nothing_is_said(layout, make_data, looked_at, tmp_path):
    assert looked_at(make_data[layout](tmp_path)) == [[], []]


@TRANSFORMS.register_module()
class ReadColours:
    """Reads label maps in a way of its own."""

    with_seg = True

    def __call__(self, results):
        results['gt_seg_map'] = np.asarray(Image.open(results['seg_map_path']).convert('L'))
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results


def test_other_ways_to_read_label_maps_are_not_judged(make_data, looked_at, tmp_path):
    cfg = make_data['cityscapes'](tmp_path)
    of_colours(type='mmlocal.ReadColours')(tmp_path, cfg)
    assert looked_at(cfg) == [[], []]


def test_network_that_reads_numbers_while_it_is_built_needs_no_memory():
    with weightless():
        assert torch.linspace(0, 1, 3).tolist() == [0, 0.5, 1]
        assert torch.zeros(3).is_meta


def test_all_that_is_read_is_kept_or_dropped(make_data, build, tmp_path):
    cfg = make_data['coco'](tmp_path)
    both(box([2, 2, 0, 8], 3), annotations(lambda i, a: a.update(iscrowd=int(i == 1))), size_of(3, width=4))(
        tmp_path, cfg
    )
    with reading() as notes:
        account = account_of(build(cfg), notes)
    for tally in (account.images, account.objects):
        assert tally.read == 4
        assert tally.kept + sum(one.count for one in tally.dropped.values()) == tally.read
    assert (account.images.kept, account.objects.kept) == (3, 1)
