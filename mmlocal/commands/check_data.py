"""Check the data of a config, without training.

For each split the dataset is built as a run would build it, its classes are compared with the model's and
with those of its annotation file, every file is looked for, and samples go through the pipeline. Nothing
is downloaded.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from rich.console import Console
from rich.table import Table

from mmlocal.cli import exit_with_message, read_config
from mmlocal.errors import ConfigError, Faults
from mmlocal.hosts import leaves_of
from mmlocal.validation.data import (
    build_dataset,
    categories_of,
    check_dataset,
    check_evaluators,
    first_middle_last,
    shown,
    targets_of,
)
from mmlocal.validation.data.files import check_datasets, loaders_of
from mmlocal.validation.data.targets import Targets

SPLITS = ('train', 'val', 'test')


def count_objects(dataset: Any) -> Counter[Any] | None:
    """Objects by the name of their class, or none where samples have none."""
    names = dict(enumerate(dataset.metainfo.get('classes') or ()))
    found: Counter[Any] = Counter()
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        if 'instances' not in info:
            return None
        found.update(names.get(one['bbox_label']) for one in info['instances'])
    return found


def describe(dataset: Any, notes: list[str], place: str) -> str:
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


def shape(sample: Any) -> str:
    """Of a sample's image, and of what a model of restoration makes of it."""
    if not isinstance(sample, dict) or not hasattr(sample.get('inputs'), 'shape'):
        return ''
    images = [sample['inputs']]
    if 'gt_img' in sample['data_samples']:
        images.append(sample['data_samples'].gt_img)
    return ' to '.join('x'.join(map(str, image.shape)) for image in images)


def check_loader(
    loader: Mapping[str, Any], place: str, targets: Targets, args: argparse.Namespace, notes: list[str], row: list[str]
) -> None:
    """Fill a row of the table.

    Raises:
        ConfigError: with all that is wrong.
    """
    dataset = build_dataset(loader['dataset'], place)
    row += [type(dataset).__name__, str(len(dataset)), describe(dataset, notes, place)]
    indices = range(len(dataset)) if args.all else first_middle_last(dataset)
    row.append(shape(check_dataset(dataset, place, targets, to_train=place.startswith('train'), indices=indices)))


def check(cfg: Config, args: argparse.Namespace) -> tuple[list[list[str]], list[str], Faults]:
    """Rows of the table, notes, and faults of all splits."""
    rows: list[list[str]] = []
    notes: list[str] = []
    seen: dict[str, Any] = {}
    faults = Faults()
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
def main(args: argparse.Namespace) -> None:
    """Show a table of the splits, notes, and all faults."""
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
