"""Data that cannot be meant are refused before anything is trained."""

import re

import pytest

from tests.test_validation.spoiled import (
    PLACE,
    annotations,
    both,
    box,
    content,
    dataset_set,
    objects,
    saved,
    voc_object,
)

REFUSED = {
    'NaN': (
        'coco',
        box([float('nan')] * 4, 3),
        f"{PLACE}.ann_file = 'ROOT/a.json': annotations[0] (id 0) has bbox = [nan",
    ),
    'three numbers': ('coco', box([1, 2, 3]), 'annotations[0] (id 0) has bbox = [1, 2, 3], where four finite numbers'),
    'box of texts': ('coco', box(['1', '1', '5', '5']), "annotations[0] (id 0) has bbox = ['1', '1', '5', '5'], where"),
    'no id': (
        'coco',
        annotations(lambda i, a: a.pop('id')),
        'annotations[0] has no id, where a number of its own is needed',
    ),
    'no area': (
        'coco',
        annotations(lambda i, a: a.pop('area')),
        'annotations[0] (id 0) has no area, where a number of pi',
    ),
    'category null': (
        'coco',
        annotations(lambda i, a: a.update(category_id=None)),
        'has category_id = None, where the id',
    ),
    'category as text': (
        'coco',
        annotations(lambda i, a: a.update(category_id=str(a['category_id']))),
        "annotations[0] (id 0) has category_id = '1', and categories has id 1: '1' is of another type",
    ),
    'image as text': (
        'coco',
        annotations(lambda i, a: a.update(image_id=str(i))),
        "annotations[0] (id 0) has image_id = '0', and images has id 0: '0' is of another type",
    ),
    'no width': (
        'coco',
        content(lambda c: c['images'][1].pop('width')),
        "images[1] (file_name '1.jpg') has no width, where",
    ),
    'no name': (
        'coco',
        content(lambda c: c['images'][1].pop('file_name')),
        'images[1] (id 1) has no file_name, where the',
    ),
    'same image id': (
        'coco',
        content(lambda c: c['images'][3].update(id=0)),
        "images[0] ('0.jpg') and images[3] ('3.jpg') have the same id, 0. 1 of 4 images would be lost",
    ),
    'same id': (
        'coco',
        annotations(lambda i, a: a.update(id=7)),
        'annotations[0] and annotations[1] have the same id, 7.',
    ),
    'same category id': (
        'coco',
        content(lambda c: c['categories'][1].update(id=1)),
        'categories[0] and categories[1] have the same id, 1.',
    ),
    'all ignored': (
        'coco',
        annotations(lambda i, a: a.update(iscrowd=1)),
        f'{PLACE} has no object of the classes cat, dog to learn from: iscrowd = 1, which the losses leave out (4 of 4',
    ),
    'all of size 0': (
        'coco',
        content(lambda c: [one.update(width=0, height=0) for one in c['images']]),
        f'{PLACE} has no object of the classes cat, dog to learn from: width or height of their image is 0 in the file',
    ),
    'all in fractions': (
        'coco',
        box([0.1, 0.1, 0.5, 0.5]),
        'to learn from: the box is less than one pixel wide or high (4',
    ),
    'all difficult': (
        'voc',
        objects(*[voc_object(more='<difficult>1</difficult>')] * 4, split=4),
        'to learn from: difficult = 1, which the losses leave out (4 of 4, first object[0] of 0.xml)',
    ),
    'no corner': (
        'voc',
        objects(voc_object(corners=(3, None, 9, 9))),
        "(xml_path = 'ROOT/Annotations/0.xml'): object[0] ('cat') has bndbox.ymin = None, and a number of pixels",
    ),
    'difficult in words': (
        'voc',
        objects(voc_object(more='<difficult>Unspecified</difficult>')),
        "(xml_path = 'ROOT/Annotations/0.xml'): object[0] ('cat') has difficult = 'Unspecified', and 0 or 1 is needed",
    ),
    'masks missing': (
        'coco',
        lambda root, cfg: cfg['train_dataloader']['dataset']['pipeline'][1].update(with_mask=True),
        "annotations[0] of '0.jpg' has no segmentation, and the pipeline reads it (with_mask). So it is in 4 of 4",
    ),
    'another extension': (
        'voc',
        lambda root, cfg: (root / 'JPEGImages' / '1.jpg').rename(root / 'JPEGImages' / '1.png'),
        "lacks 1 of the 4 files looked for: ROOT/JPEGImages/1.jpg. There is '1.png': another extension is read",
    ),
    'UTF-16': (
        'listed',
        lambda root, cfg: (root / 'list.txt').write_text('cat/0.png 0', encoding='utf-16'),
        f"{PLACE}.ann_file = 'ROOT/list.txt' is no text in UTF-8: UnicodeDecodeError: ... Save it as UTF-8",
    ),
    'commas': (
        'listed',
        lambda root, cfg: (root / 'list.txt').write_text('cat/0.png 0\ndog/1.png,1\n'),
        f"{PLACE}.ann_file = 'ROOT/list.txt', line 2: 'dog/1.png,1' is not ... So it is in 1 of 2 lines: write a blank",
    ),
    'blank line': (
        'listed',
        lambda root, cfg: (root / 'list.txt').write_text('cat/0.png 0\n\ndog/1.png 1\n'),
        "line 2: '' is not the name of a file, one blank and the number of its class. ... remove the line",
    ),
    'names for numbers': (
        'listed',
        lambda root, cfg: (root / 'list.txt').write_text('cat/0.png cat\n'),
        "line 1: 'cat/0.png cat' is not ... the number is the place of the class in metainfo.classes, from 0 on",
    ),
    'byte order mark': (
        'listed',
        lambda root, cfg: (root / 'list.txt').write_text('\ufeffcat/0.png 0\n'),
        'lacks 1 of the 1 files looked for: ... begins with a byte order mark: save it as UTF-8 without',
    ),
    'label of no class': (
        'listed',
        lambda root, cfg: (root / 'list.txt').write_text('cat/0.png 0\n' * 2 + 'dog/1.png 2\n' + 'cat/0.png 0\n' * 9),
        f"{PLACE}: sample 2 of 12 (img_path = 'ROOT/dog/1.png') has label 2: model.head.num_classes = 2 allows 0 … 1",
    ),
    'a folder too many': (
        'folders',
        both(dataset_set(metainfo=dict(classes=('cat', 'dog'))), saved('cow/9.png')),
        "data_prefix = 'ROOT/' has 3 folders of classes, and metainfo.classes has 2: it has cow. Folders are numbered",
    ),
    'maps of colours': (
        'cityscapes',
        saved('labels/1_gtFine_labelTrainIds.png'),
        "has label maps that are pictures of colours: 'ROOT/labels/1_gtFine_labelTrainIds.png' has the channels RGB.",
    ),
    'larger maps': (
        'cityscapes',
        saved('labels/1_gtFine_labelTrainIds.png', size=(32, 32), mode='L'),
        "'ROOT/labels/1_gtFine_labelTrainIds.png' has 32 x 32 pixels, its image 'ROOT/images/1_leftImg8bit.png' 16",
    ),
    'target of another size': (
        'uncropped',
        saved('high/1.png', size=(16, 16)),
        'sample ... of 4 ... has a target of 16 x 16 pixels for an input of 16 x 16: model.generator.upscale_factor',
    ),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_meant_is_refused(name, make_data, looked_at, tmp_path):
    layout, spoil, expected = REFUSED[name]
    cfg = make_data[layout](tmp_path)
    spoil(tmp_path, cfg)
    faults = looked_at(cfg)[0]
    assert len(faults) == 1
    assert re.search('.*'.join(map(re.escape, expected.split('...'))), faults[0]), faults[0]
    assert faults[0].startswith(PLACE)


def doubled(root, cfg):
    """A category of the project beside that of its objects."""
    content(lambda c: c.update(categories=[dict(id=0, name='cat'), *c['categories']]))(root, cfg)


def test_remedy_of_a_doubled_category_works(make_data, looked_at, tmp_path):
    cfg = make_data['coco'](tmp_path)
    doubled(tmp_path, cfg)
    (fault,) = looked_at(cfg)[0]
    assert "2 categories of 'ROOT/a.json' are called 'cat' (id 0, 1)" in fault
    assert 'Remove that of id 0 from its categories, as no object is of it' in fault
    content(lambda c: c.update(categories=c['categories'][1:]))(tmp_path, cfg)
    assert looked_at(cfg) == [[], []]
