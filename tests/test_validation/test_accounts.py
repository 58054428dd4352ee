"""What of a dataset is not used is counted by reason; what cannot be meant is refused before anything is trained."""

import copy
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from mmlocal.errors import ConfigError, Faults
from mmlocal.hosts import leaves_of
from mmlocal.hosts.accounts import reading
from mmlocal.registry import TRANSFORMS
from mmlocal.validation.building import weightless
from mmlocal.validation.data import Splits, account_of, check_dataset, check_evaluated, targets_of
from mmlocal.validation.data.batches import check_single_image
from mmlocal.validation.data.loaders import check_loaders

PLACE = 'train_dataloader.dataset'


def annotations(change):
    """Change each annotation: `change(place, record)`."""
    return content(lambda c: [change(i, one) for i, one in enumerate(c['annotations'])])


def content(change):
    def spoil(root, cfg):
        whole = json.loads((root / 'a.json').read_text())
        change(whole)
        (root / 'a.json').write_text(json.dumps(whole))

    return spoil


def box(values, but=0):
    """Another box for all annotations but the last ones."""
    return annotations(lambda i, a: a.update(bbox=values) if i < 4 - but else None)


def size_of(image, **sizes):
    return content(lambda c: c['images'][image].update(sizes))


def dataset_set(**changes):
    return lambda root, cfg: cfg['train_dataloader']['dataset'].update(changes)


def both(*spoils):
    return lambda root, cfg: [spoil(root, cfg) for spoil in spoils]


def objects(*texts, split=2):
    """The objects of the first XML files, in VOC's format."""

    def spoil(root, cfg):
        for i, text in enumerate(texts[:split]):
            path = root / 'Annotations' / f'{i}.xml'
            path.write_text(re.sub('<object>.*</object>', text, path.read_text()))

    return spoil


def voc_object(name='cat', corners=(3, 3, 9, 9), more=''):
    names = ('xmin', 'ymin', 'xmax', 'ymax')
    inner = ''.join(f'<{key}>{value}</{key}>' for key, value in zip(names, corners, strict=True) if value is not None)
    return f'<object><name>{name}</name>{more}<bndbox>{inner}</bndbox></object>'


def saved(name, size=(16, 16), mode='RGB', **how):
    def spoil(root, cfg):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size).save(root / name, **how)

    return spoil


def turned(root, cfg):
    """The pixels lie on their side, the EXIF data say so, and the annotations have the header's size."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for i in range(4):
        Image.new('RGB', (24, 16)).save(root / 'images' / f'{i}.jpg', exif=exif.tobytes())
        size_of(i, width=24, height=16)(root, cfg)


def passed_over(root, cfg):
    (root / 'images' / '1.jpg').unlink()
    cfg['train_dataloader']['dataset']['pipeline'][0]['ignore_empty'] = True


def masks(*values):
    """Label maps of the first images, each of one value."""

    def spoil(root, cfg):
        for i, value in enumerate(values):
            labels = np.full((16, 16), value, np.uint8)
            Image.fromarray(labels).save(root / 'labels' / f'{i}_gtFine_labelTrainIds.png')

    return spoil


def two_classes(root, cfg):
    dataset_set(type='BaseSegDataset', img_suffix='_leftImg8bit.png', seg_map_suffix='_gtFine_labelTrainIds.png')(
        root, cfg
    )
    dataset_set(metainfo=dict(classes=('background', 'digit')))(root, cfg)
    cfg['model']['decode_head']['num_classes'] = cfg['model']['auxiliary_head'][0]['num_classes'] = 2


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
                    line for leaf, where in leaves_of(dataset, PLACE) for line in account_of(leaf, notes).lines(where)
                ]
        return [[text.replace(str(tmp_path), 'ROOT') for text in texts] for texts in (faults.found, lines)]

    return looked_at


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


def of_colours(**cfg):
    """Label maps of three channels, read by another transform."""

    def change(root, whole):
        saved('labels/1_gtFine_labelTrainIds.png')(root, whole)
        whole['train_dataloader']['dataset']['pipeline'][1] = cfg

    return change


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


# Between splits.


@pytest.fixture
def held(build, make_data, tmp_path):
    """What is said of a second dataset beside that which is trained on, both changed: faults, and what is odd."""

    def held(layout, first, second):
        cfg = make_data[layout](tmp_path)
        val = copy.deepcopy(cfg)
        first(tmp_path, cfg), second(tmp_path, val)
        faults = Faults()
        with reading() as notes:
            splits = Splits(targets_of(cfg), notes)
            splits.add('train', build(cfg), PLACE, faults)
            splits.add('val', build(val), 'val_dataloader.dataset', faults)
        return faults.found, splits.odd

    return held


def in_val(*names):
    """Folders of classes of another split."""

    def change(root, cfg):
        for name in names:
            saved(f'{root}-val/{name}/9.png')(root, cfg)
        cfg['train_dataloader']['dataset'].update(data_root=f'{root}-val/')

    return change


def other_order(root, cfg):
    whole = json.loads((root / 'a.json').read_text())
    whole['categories'].reverse()
    for image in whole['images']:
        image['file_name'] = f'../images/{image["file_name"]}'
    (root / 'b.json').write_text(json.dumps(whole))
    dataset_set(ann_file='b.json', metainfo=dict(classes=('dog', 'cat')))(root, cfg)


@pytest.mark.parametrize(
    ('layout', 'second', 'expected'),
    [
        ('folders', in_val('cat', 'cow'), "val_dataloader.dataset ('ROOT-val/') lacks dog and has cow, unlike train"),
        ('folders', in_val('cat'), "val_dataloader.dataset ('ROOT-val/') lacks dog, unlike train_dataloader.dataset"),
        ('coco', other_order, 'has the classes of train_dataloader.dataset in another order, dog, cat for cat, dog'),
        ('coco', dataset_set(), 'val_dataloader.dataset has the 4 training images and no others'),
        ('cityscapes', dataset_set(test_mode=True), 'val_dataloader.dataset has the 4 training images and no others'),
    ],
)
def test_splits_that_do_not_go_together(layout, second, expected, held, tmp_path):
    (fault,), odd = held(layout, lambda root, cfg: None, second)
    assert expected in fault.replace(str(tmp_path), 'ROOT')
    assert odd == []


def test_what_has_no_classes_may_be_evaluated_on_what_it_is_trained_on(held):
    def generates(root, cfg):
        del cfg['model']['bbox_head']

    assert held('coco', generates, generates) == ([], [])


def test_some_common_images_are_told(held):
    assert held('coco', dataset_set(indices=3), dataset_set(indices=[0, 3])) == (
        [],
        ['val_dataloader.dataset: 1 of 2 images are trained on, too'],
    )


def test_split_that_its_dataset_does_not_read(build, tmp_path):
    """mmpretrain's MNIST takes the training files for split='test'; with test_mode it takes the others."""
    for i, name in enumerate(('train', 't10k')):
        pixels = np.full((4, 28, 28), i, np.uint8)
        pixels[:, 0, 0] = range(4)
        for kind, head, data in (('images-idx3', (2051, 4, 28, 28), pixels), ('labels-idx1', (2049, 4), np.arange(4))):
            whole = np.array(head, '>i4').tobytes() + data.astype(np.uint8).tobytes()
            (tmp_path / f'{name}-{kind}-ubyte').write_bytes(whole)
    cfg = dict(default_scope='mmpretrain', model=dict(head=dict(num_classes=10)))
    found = []
    for more in ({}, dict(test_mode=True)):
        faults = Faults()
        with reading() as notes:
            splits = Splits(targets_of(cfg), notes)
            for split, own in (('train', {}), ('val', dict(split='test', **more))):
                data = dict(type='MNIST', data_root=str(tmp_path), **own)
                splits.add(
                    split, build(cfg | dict(train_dataloader=dict(dataset=data))), f'{split}_dataloader.dataset', faults
                )
        found.append(faults.found)
    assert found[1] == []
    assert 'has the 4 training images and no others' in found[0][0]
    assert "MNIST takes its files by test_mode, whatever split says (it is 'test'): set test_mode = True" in found[0][0]


# Evaluators.


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
            leaves = list(leaves_of(build(cfg), 'val_dataloader.dataset'))
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


# Loaders and batches.


@pytest.mark.parametrize('name', ['persistent_workers', 'prefetch_factor'])
def test_what_is_for_workers_needs_some(name):
    cfg = dict(val_dataloader={'num_workers': 0, name: 2})
    with pytest.raises(
        ConfigError, match=rf'val_dataloader\.{name} = 2 needs num_workers above 0.* = None, or num_workers = 1'
    ):
        check_loaders(cfg, ['train', 'val'])
    check_loaders(dict(val_dataloader={'num_workers': 1, name: 2}), ['val'])


class Pooled(nn.Module):
    """Batch norm over a pooled map: one value a channel in a batch of one."""

    def __init__(self, pool=True):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1 if pool else 4)
        self.norm = nn.BatchNorm2d(3)

    def data_preprocessor(self, data, training):
        return dict(inputs=torch.stack(data['inputs']).float())

    def forward(self, inputs, mode):
        return dict(loss=self.norm(self.pool(inputs)).sum())


@pytest.mark.parametrize(
    ('images', 'size', 'drop_last', 'pool', 'refused'),
    [
        (9, 4, False, True, r'batch_size = 4 leaves a last batch of one of the 9 images.* Set drop_last=True'),
        (2, 1, False, True, r'batch_size = 1, and batch norm has one value a channel then: set batch_size = 2'),
        (9, 4, True, True, ''),
        (8, 4, False, True, ''),
        (9, 4, False, False, ''),
    ],
)
def test_batch_of_one_image(images, size, drop_last, pool, refused):
    samples = [dict(inputs=torch.zeros(3, 8, 8)) for _ in range(images)]

    def collate(batch):
        return dict(inputs=[one['inputs'] for one in batch])

    loader = DataLoader(samples, batch_size=size, drop_last=drop_last, collate_fn=collate)
    runner = SimpleNamespace(model=Pooled(pool), train_loop=EpochBasedTrainLoop.__new__(EpochBasedTrainLoop))
    if not refused:
        check_single_image(runner, loader, samples[0])
        return
    with pytest.raises(ConfigError, match=refused):
        check_single_image(runner, loader, samples[0])
