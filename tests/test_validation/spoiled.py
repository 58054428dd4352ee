"""Data that are wrong: each function gives a change of the files in a folder, and of the config that reads them."""

import json
import re

import numpy as np
from PIL import Image

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


def of_colours(**cfg):
    """Label maps of three channels, read by another transform."""

    def change(root, whole):
        saved('labels/1_gtFine_labelTrainIds.png')(root, whole)
        whole['train_dataloader']['dataset']['pipeline'][1] = cfg

    return change
