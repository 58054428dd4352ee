"""Check the data of a config, without training: `python tools/misc/check_dataset.py CONFIG`.

For each split the dataset is built as a run would build it, its classes are compared with the model's and
with those of its annotation file, every file is looked for, and samples go through the pipeline. Nothing
is downloaded.
"""

import argparse
from collections import Counter

from mmengine.registry import DefaultScope
from rich.console import Console
from rich.table import Table

from mmlocal.cli import add_config_arguments, exit_with_message, read_config
from mmlocal.errors import ConfigError, Faults
from mmlocal.validation.data import (
    build_dataset,
    categories_of,
    check_dataset,
    check_evaluators,
    first_middle_last,
    leaves_of,
    shown,
    targets_of,
)
from mmlocal.validation.data.files import check_datasets, loaders_of

SPLITS = ('train', 'val', 'test')


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='file, or one of a host: mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
    parser.add_argument('--all', action='store_true', help='read every sample, not the first, middle and last one')
    add_config_arguments(parser)
    return parser.parse_args()


def count_objects(dataset):
    """Objects by the name of their class, or none where samples have none."""
    names, found = dict(enumerate(dataset.metainfo.get('classes') or ())), Counter()
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        if 'instances' not in info:
            return None
        found.update(names.get(one['bbox_label']) for one in info['instances'])
    return found


def describe(dataset, notes, place):
    """What is annotated in a dataset; what of it nobody reads, or nobody annotated, goes to the notes."""
    total, annotated = 0, False
    for leaf, where in leaves_of(dataset, place):
        found = count_objects(leaf)
        if found is None:
            continue
        annotated, total = True, total + found.total()
        classes = leaf.metainfo.get('classes') or ()
        empty = [name for name in classes if name not in found]
        unread = [name for name in categories_of(leaf) or () if name not in classes]
        notes += [f'{where} has no object of {shown(empty)}'] if empty else []
        notes += [f'{where} does not read {shown(unread)} of its annotation file'] if unread else []
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    parts = [f'{total} objects'] if annotated else []
    return ', '.join(parts + ([f'{len(classes)} classes'] if classes else []))


def shape(sample):
    """Of a sample's image, and of what a model of restoration makes of it."""
    if not isinstance(sample, dict) or not hasattr(sample.get('inputs'), 'shape'):
        return ''
    images = [sample['inputs']]
    if 'gt_img' in sample['data_samples']:
        images.append(sample['data_samples'].gt_img)
    return ' to '.join('x'.join(map(str, image.shape)) for image in images)


def check_loader(loader, place, targets, args, notes, row):
    """Fill a row of the table.

    Raises:
        ConfigError: with all that is wrong.
    """
    dataset = build_dataset(loader['dataset'], place)
    row += [type(dataset).__name__, str(len(dataset)), describe(dataset, notes, place)]
    indices = range(len(dataset)) if args.all else first_middle_last(dataset)
    row.append(shape(check_dataset(dataset, place, targets, to_train=place.startswith('train'), indices=indices)))


def check(cfg, args):
    """Rows of the table, notes, and faults of all splits."""
    rows, notes, faults, seen = [], [], Faults(), {}
    targets = targets_of(cfg)
    for split in SPLITS:
        with faults.under():
            check_datasets(cfg, (split,))
            check_evaluators(cfg, split)
            for place, loader in loaders_of(cfg, split):
                name = place.replace('_dataloader', '')
                same = next((other for other, dataset in seen.items() if dataset == loader['dataset']), None)
                rows.append([name] + ([f'as {same}'] if same else []))
                if not same:
                    seen[name] = loader['dataset']
                    with faults.under():
                        check_loader(loader, f'{place}.dataset', targets, args, notes, rows[-1])
    return rows, notes, faults


@exit_with_message
def main():
    args = parse_args()
    cfg = read_config(args)
    if not any(cfg.get(f'{split}_dataloader') for split in SPLITS):
        raise ConfigError(f'config {args.config!r} has none of {", ".join(f"{split}_dataloader" for split in SPLITS)}')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        rows, notes, faults = check(cfg, args)
    table = Table('', 'dataset', 'images', 'annotations', 'first sample')
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    for note in notes:
        console.print(f'note: {note}', markup=False)
    faults.report()


if __name__ == '__main__':
    main()
