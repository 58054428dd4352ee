"""Bad data of every host: each fault is one sentence that names the file and the place in the config."""

import copy
import json

import numpy as np
import pytest
from PIL import Image

from mmlocal.errors import Faults
from mmlocal.validation.data import check_dataset, targets_of

PLACE = 'train_dataloader.dataset'
NUM = 4


# What is done to them.


def cut(*names):
    def spoil(root, cfg):
        for name in names:
            whole = (root / name).read_bytes()
            (root / name).write_bytes(whole[: len(whole) // 2])

    return spoil


def write(name, content):
    return lambda root, cfg: (root / name).write_text(content)


def remove(*names):
    return lambda root, cfg: [(root / name).unlink() for name in names]


def resize(name, size):
    return lambda root, cfg: Image.new('RGB', (size, size)).save(root / name)


def dataset_set(**changes):
    return lambda root, cfg: cfg['train_dataloader']['dataset'].update(changes)


def annotations(change):
    def spoil(root, cfg):
        content = json.loads((root / 'a.json').read_text())
        change(content)
        (root / 'a.json').write_text(json.dumps(content))

    return spoil


def head(path, value):
    def spoil(root, cfg):
        inner = cfg['model']
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value

    return spoil


def raw_ids(root, cfg):
    """The labels before they are made train ids."""
    ids = np.tile(np.arange(16, 32, dtype=np.uint8), (16, 1))
    Image.fromarray(ids).save(root / 'labels' / '1_gtFine_labelTrainIds.png')


def empty(root, cfg):
    for path in [p for p in root.rglob('*') if p.suffix in ('.png', '.jpg')]:
        path.unlink()


def in_a_wrapper(root, cfg):
    dataset = cfg['train_dataloader']['dataset']
    cut('images/3.jpg')(root, cfg)
    repeated = dict(type='RepeatDataset', times=2, dataset=dataset)
    cfg['train_dataloader']['dataset'] = dict(type='ConcatDataset', datasets=[copy.deepcopy(dataset), repeated])


def only_dogs(root, cfg):
    dataset_set(metainfo=dict(classes=('dog',)))(root, cfg)
    head(('bbox_head', 'num_classes'), 1)(root, cfg)


def without_labels(root, cfg):
    del cfg['train_dataloader']['dataset']['pipeline'][1]
    for path in (root / 'labels').iterdir():
        path.unlink()


def another_ignored(root, cfg):
    head(('decode_head', 'ignore_index'), 30)(root, cfg)
    for path in (root / 'labels').iterdir():
        Image.new('L', (16, 16), 30).save(path)


def reads_names(root, cfg):
    cfg['model'].update(language_model=dict(type='BertModel'))
    cfg['model']['bbox_head'].update(num_classes=256)


def panoptic(root, cfg):
    dataset_set(metainfo=dict(classes=('cat', 'dog'), thing_classes=('cat',)))(root, cfg)
    head(('bbox_head', 'num_classes'), 1)(root, cfg)
    annotations(lambda a: [one.update(category_id=1) for one in a['annotations']])(root, cfg)


def unlabelled_beside(root, cfg):
    labelled = cfg['train_dataloader']['dataset'] | dict(filter_cfg=None)
    content = json.loads((root / 'a.json').read_text()) | dict(annotations=[])
    (root / 'b.json').write_text(json.dumps(content))
    both = [labelled, dict(labelled, ann_file='b.json')]
    cfg['train_dataloader']['dataset'] = dict(type='ConcatDataset', datasets=both)


FAULTS = {
    # images
    'cut JPEG': (
        'coco',
        cut('images/3.jpg'),
        f"{PLACE}: img_path = 'ROOT/images/3.jpg' of sample 3 of 4 is a broken image: its ... bytes "
        'cannot be read to the end',
    ),
    'text called JPEG': (
        'coco',
        write('images/1.jpg', 'no image'),
        f"{PLACE}: img_path = 'ROOT/images/1.jpg' of sample 1 of 4 is not an image, whatever its name says (8 bytes)",
    ),
    'empty file': (
        'coco',
        write('images/1.jpg', ''),
        f"{PLACE}: img_path = 'ROOT/images/1.jpg' of sample 1 of 4 is not an image, whatever its name says (0 bytes)",
    ),
    'in a wrapper': (
        'coco',
        in_a_wrapper,
        f"{PLACE}.datasets[0]: img_path = 'ROOT/images/3.jpg' of sample 3 of 4 is a broken image: ...",
        f"{PLACE}.datasets[1].dataset: img_path = 'ROOT/images/3.jpg' of sample 3 of 4 is a broken image: ...",
    ),
    'two cut images of a segmentation': (
        'cityscapes',
        cut('images/0_leftImg8bit.png', 'images/2_leftImg8bit.png'),
        f"{PLACE}: img_path = 'ROOT/images/0_leftImg8bit.png' of sample 0 of 4 is a broken image: ...",
        f"{PLACE}: img_path = 'ROOT/images/2_leftImg8bit.png' of sample 2 of 4 is a broken image: ...",
    ),
    'label map that is none': (
        'cityscapes',
        write('labels/2_gtFine_labelTrainIds.png', 'road'),
        f"{PLACE}: seg_map_path = 'ROOT/labels/2_gtFine_labelTrainIds.png' of sample 2 of 4 is not an image, "
        'whatever its name says (4 bytes)',
    ),
    'cut image of a classification': (
        'folders',
        cut('dog/3.png'),
        f"{PLACE}: img_path = 'ROOT/dog/3.png' of sample 3 of 4 is a broken image: ...",
    ),
    'cut image of a pair': (
        'pairs',
        cut('high/2.png'),
        f"{PLACE}: gt_path = 'ROOT/high/2.png' of sample 2 of 4 is a broken image: ...",
    ),
    'missing images': (
        'coco',
        remove('images/1.jpg', 'images/2.jpg'),
        f'{PLACE} lacks 2 of the 4 files looked for: ROOT/images/1.jpg, ROOT/images/2.jpg',
    ),
    'missing label map': (
        'cityscapes',
        remove('labels/1_gtFine_labelTrainIds.png'),
        f'{PLACE} lacks 1 of the 8 files looked for: ROOT/labels/1_gtFine_labelTrainIds.png',
    ),
    # annotation files
    'no JSON': (
        'coco',
        write('a.json', 'images: 4'),
        f"{PLACE}.ann_file = 'ROOT/a.json' is not JSON, or not all of it: Expecting value: line 1 column 1 (char 0)",
    ),
    'cut JSON': ('coco', cut('a.json'), f"{PLACE}.ann_file = 'ROOT/a.json' is not JSON, or not all of it: ..."),
    'other JSON': (
        'coco',
        write('a.json', '[1]'),
        f"{PLACE}.ann_file = 'ROOT/a.json' holds a list: a dict with images, annotations, categories is needed",
    ),
    'record without a box': (
        'coco',
        annotations(lambda a: a['annotations'][2].pop('bbox')),
        f"{PLACE}.ann_file = 'ROOT/a.json': annotations[2] (id 2) has no bbox, where four...is needed. "
        'So it is in 1 of 4 annotations: correct or remove them',
    ),
    'no XML': (
        'voc',
        write('Annotations/2.xml', '<annotation><object>'),
        f"{PLACE} has a record that cannot be read (xml_path = 'ROOT/Annotations/2.xml'): ParseError: no element ...",
    ),
    'missing XML': (
        'voc',
        remove('Annotations/2.xml'),
        f"{PLACE} has a record that cannot be read (xml_path = 'ROOT/Annotations/2.xml'): FileNotFoundError: ...",
    ),
    # classes
    'class that the file lacks': (
        'coco',
        dataset_set(metainfo=dict(classes=('cat', 'dgo'))),
        f"{PLACE}.metainfo.classes: no category of 'ROOT/a.json' is called dgo. It has cat, dog. Did you mean 'dog'?",
    ),
    'no class of the config in the file': (
        'coco',
        lambda root, cfg: cfg['train_dataloader']['dataset'].pop('metainfo'),
        f"{PLACE}.metainfo.classes: no category of 'ROOT/a.json' is called person, bicycle, car, motorcycle, "
        'airplane … (78). It has cat, dog.',
        'model.bbox_head.num_classes = 2 does not fit the 80 classes of the data: person, bicycle, car, motorcycle, '
        'airplane … (80)',
    ),
    'classes in another order': (
        'coco',
        dataset_set(metainfo=dict(classes=('dog', 'cat'))),
        f"{PLACE}.metainfo.classes = ('dog', 'cat'): 'ROOT/a.json' has ('cat', 'dog'), and the labels are numbered "
        'in the order of the file. Give the classes in that order, each once',
    ),
    'one class as a text': (
        'coco',
        dataset_set(metainfo=dict(classes='cat')),
        f"{PLACE}.metainfo.classes = 'cat' is a text: give a tuple, ('cat',)",
    ),
    'no object of the classes of VOC': (
        'voc',
        dataset_set(metainfo=dict(classes=('car',))),
        f'{PLACE} has no object of the classes car to learn from: their name is none of metainfo.classes: '
        "'cat' 4 times. Did you mean 'car'? (4 of 4, first object[0] of 0.xml)",
    ),
    'head with other classes': (
        'coco',
        head(('bbox_head', 'num_classes'), 80),
        'model.bbox_head.num_classes = 80 does not fit the 2 classes of the data: cat, dog',
    ),
    'two heads with other classes': (
        'cityscapes',
        dataset_set(metainfo=dict(classes=('road', 'car'))),
        'model.decode_head.num_classes = 19 does not fit the 2 classes of the data: road, car',
        'model.auxiliary_head[0].num_classes = 19 does not fit the 2 classes of the data: road, car',
    ),
    'local head with other classes': (
        'folders',
        lambda root, cfg: cfg['model'].update(
            backbone=dict(type='mmlocal.LocalBackbone', auxiliary=dict(head=dict(cls_head=dict(num_classes=7))))
        ),
        'model.backbone.auxiliary.head.cls_head.num_classes = 7 does not fit the 2 classes of the data: cat, dog',
    ),
    'another number of folders': (
        'folders',
        head(('head', 'num_classes'), 10),
        'model.head.num_classes = 10 does not fit the 2 classes of the data: cat, dog',
    ),
    # labels
    'label of a list': (
        'listed',
        write('list.txt', 'cat/0.png 0\ndog/1.png 12'),
        f"{PLACE}: sample 1 of 2 (img_path = 'ROOT/dog/1.png') has label 12: model.head.num_classes = 2 allows 0 … 1",
    ),
    'label map with raw ids': (
        'cityscapes',
        raw_ids,
        f"{PLACE} has label 19, 20, 21, 22, 23 … (13) in 'ROOT/labels/1_gtFine_labelTrainIds.png': "
        'model.decode_head.num_classes = 19 allows 0 … 18, and 255 to be ignored',
    ),
    # sizes of pairs
    'smaller than the patch': (
        'pairs',
        lambda root, cfg: cfg['train_dataloader']['dataset']['pipeline'][3].update(gt_patch_size=48),
        *[
            f"{PLACE}: sample {i} of 4 (gt_path = 'ROOT/high/...png', img_path = 'ROOT/low/...png') cannot be "
            'prepared by PairedRandomCrop: ValueError: LQ (16, 16) is smaller than patch size (24, 24). ...'
            for i in range(NUM)
        ],
    ),
    'other scale in training': (
        'pairs',
        resize('high/1.png', 40),
        f"{PLACE}: sample ... of 4 (gt_path = 'ROOT/high/1.png', img_path = 'ROOT/low/1.png') cannot be prepared by "
        'PairedRandomCrop: ValueError: Scale mismatches. GT (40, 40) is not 2x multiplication of LQ (16, 16).',
    ),
    'other scale in validation': (
        'uncropped',
        resize('high/1.png', 40),
        f"{PLACE}: sample ... of 4 (gt_path = 'ROOT/high/1.png', img_path = 'ROOT/low/1.png') has a target of 40 x 40 "
        'pixels for an input of 16 x 16: model.generator.upscale_factor = 2 needs 32 x 32',
    ),
    # nothing to train on
    'no images in COCO': (
        'coco',
        annotations(lambda a: a.update(images=[], annotations=[])),
        f"{PLACE} has no images: CocoDataset found none by ann_file = 'ROOT/a.json', data_prefix.img = 'ROOT/images/'",
    ),
    'all filtered': (
        'coco',
        dataset_set(filter_cfg=dict(min_size=20)),
        f"{PLACE}.filter_cfg = {{'min_size': 20}} leaves none of the 4 images",
    ),
    'no objects, filtered': (
        'coco',
        annotations(lambda a: a.update(annotations=[])),
        f'{PLACE} has no object of the classes cat, dog to learn from',
    ),
    'no objects, unfiltered': (
        'coco',
        lambda root, cfg: (
            annotations(lambda a: a.update(annotations=[]))(root, cfg),
            dataset_set(filter_cfg=None)(root, cfg),
        ),
        f'{PLACE} has no object of the classes cat, dog to learn from',
    ),
    'no images of Cityscapes': (
        'cityscapes',
        empty,
        f"{PLACE} has no images: CityscapesDataset found none by data_prefix.img_path = 'ROOT/images', "
        "data_prefix.seg_map_path = 'ROOT/labels', img_suffix = '_leftImg8bit.png'",
    ),
    'no images in folders': (
        'folders',
        empty,
        f'{PLACE} cannot be read: RuntimeError: Found 0 files in subfolders of: ...',
    ),
    'no pairs': ('pairs', empty, f'{PLACE} has no images: BasicImageDataset found none by ...'),
    # not downloaded
    'dataset that would be downloaded': (
        'folders',
        lambda root, cfg: cfg['train_dataloader'].update(dataset=dict(type='CIFAR10', data_root=f'{root}/cifar')),
        f'{PLACE} cannot be read: RuntimeError: Cannot find CIFAR10 dataset in ROOT/cifar/, you can specify '
        '`download=True` to download automatically.',
    ),
}


@pytest.fixture
def faults_in(build):
    def faults_in(cfg):
        faults = Faults()
        with faults.under():
            dataset = build(cfg)
            check_dataset(dataset, PLACE, targets_of(cfg), to_train=True, indices=range(len(dataset)))
        return faults.found

    return faults_in


@pytest.mark.parametrize('name', FAULTS)
def test_fault_is_told(name, make_data, faults_in, tmp_path, assert_faults):
    layout, spoil, *sentences = FAULTS[name]
    cfg = make_data[layout](tmp_path)
    spoil(tmp_path, cfg)
    assert_faults([fault.replace(str(tmp_path), 'ROOT') for fault in faults_in(cfg)], sentences)


@pytest.mark.parametrize('layout', ['coco', 'voc', 'cityscapes', 'folders', 'listed', 'pairs', 'uncropped'])
def test_good_data_has_no_fault(layout, make_data, faults_in, tmp_path):
    assert faults_in(make_data[layout](tmp_path)) == []


FINE = {
    'some of the categories': ('coco', only_dogs),
    'images without objects': ('coco', annotations(lambda a: a['annotations'].pop())),
    'unlabelled images beside others': ('coco', unlabelled_beside),
    'label maps that are not read': ('cityscapes', without_labels),
    'another label to be ignored': ('cityscapes', another_ignored),
    'boundary head of two classes': ('cityscapes', head(('auxiliary_head', 0), dict(type='STDCHead', num_classes=2))),
    'region proposals': ('coco', head(('rpn_head',), dict(type='RPNHead', num_classes=1))),
    'model that reads the names': ('coco', reads_names),
    'things of a panoptic dataset': ('coco', panoptic),
}


@pytest.mark.parametrize('name', FINE)
def test_what_is_meant_is_no_fault(name, make_data, faults_in, tmp_path):
    layout, change = FINE[name]
    cfg = make_data[layout](tmp_path)
    change(tmp_path, cfg)
    assert faults_in(cfg) == []
