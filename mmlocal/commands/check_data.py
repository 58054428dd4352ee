"""Check the data of a config, without training.

For each split the dataset is built as a run would build it, what it has kept is held against its annotation file or
folder, its classes are compared with the model's and with those of the other splits, every file is looked for, and
samples go through the pipeline. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmlocal.cli import exit_with_message, read_config
from mmlocal.errors import ConfigError, Faults
from mmlocal.hosts import base_datasets_of
from mmlocal.hosts.accounts import Account, Reading, reading
from mmlocal.validation.data import (
    Splits,
    account_of,
    build_dataset,
    check_dataset,
    check_evaluated,
    check_evaluators,
    class_names,
    first_middle_last,
    shown,
    targets_of,
)
from mmlocal.validation.data.files import check_datasets, loaders_of

SPLITS = ('train', 'val', 'test')
_FILE_WIDTH = 200


def describe(dataset: Any, report: Report, place: str) -> str:
    """What is annotated in a dataset; what of it nobody annotated goes to the notes."""
    total, annotated = 0, False
    for leaf, where in base_datasets_of(dataset, place):
        kept = report.reading.kept(leaf)
        found = kept.objects if kept.objects is not None else kept.labels
        if found is None:
            continue
        annotated = annotated or kept.objects is not None
        total += kept.objects.total() + kept.ignored if kept.objects is not None else 0
        empty = [name for i, name in enumerate(class_names(leaf)) if not found[i]]
        what = 'object' if kept.objects is not None else 'image'
        report.notes += [f'{where} has no {what} of {shown(empty)}'] if empty else []
    classes = class_names(dataset)
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


class Report:
    """What is told of all splits: rows of both tables, notes, and faults."""

    def __init__(self, cfg: Config, args: argparse.Namespace, notes: Reading) -> None:
        self.cfg, self.args, self.reading = cfg, args, notes
        self.rows: list[list[str]] = []
        self.used: list[list[str]] = []
        self.notes: list[str] = []
        self.faults = Faults()
        self.splits = Splits(targets_of(cfg), notes)
        self._seen: dict[str, Any] = {}

    def add(self, split: str) -> None:
        """Look at a split.

        Raises:
            ConfigError: with what is wrong with its files as a whole.
        """
        check_datasets(self.cfg, (split,))
        check_evaluators(self.cfg, split)
        for place, loader in loaders_of(self.cfg, split):
            name = place.replace('_dataloader', '')
            same = next((other for other, dataset in self._seen.items() if dataset == loader['dataset']), None)
            self.rows.append([name] + ([f'as {same}'] if same else []))
            if not same:
                self._seen[name] = loader['dataset']
                with self.faults.under():
                    self._add_loader(split, loader, f'{place}.dataset')

    def _add_loader(self, split: str, loader: Mapping[str, Any], place: str) -> None:
        dataset = build_dataset(loader['dataset'], place)
        self.rows[-1] += [type(dataset).__name__, str(len(dataset)), describe(dataset, self, place)]
        indices = range(len(dataset)) if self.args.all else first_middle_last(dataset)
        targets = self.splits.add(split, dataset, place, self.faults)
        try:
            sample = check_dataset(dataset, place, targets, to_train=split == 'train', indices=indices)
            self.rows[-1].append(shape(sample))
        finally:
            leaves = list(base_datasets_of(dataset, place))
            for leaf, where in leaves:
                self._add_account(where, account_of(leaf, self.reading))
        self.notes += check_evaluated(self.cfg, split, leaves, self.reading)

    def _add_account(self, where: str, account: Account) -> None:
        name = where.replace('_dataloader.dataset', '')
        for what, tally in account.tallies():
            self.used.append([name, what, str(tally.read), str(tally.kept)])
            for reason, one in tally.dropped.items():
                more = ', …' if one.count > len(one.first) else ''
                self.used.append([name, what, '', '', str(one.count), reason, ', '.join(one.first) + more])
        self.notes += [f'{where}: {note}' for note in account.notes]

    def print(self) -> None:
        """The tables, then the notes."""
        console = Console(highlight=False, soft_wrap=True)
        if not console.is_terminal:  # a file has room
            console.width = _FILE_WIDTH
        tables = (
            (('', 'dataset', 'images', 'annotations', 'first sample'), self.rows),
            (('', '', 'read', 'kept', 'not used', 'because', 'first'), self.used),
        )
        for columns, rows in tables:
            table = Table()
            for column in columns:
                table.add_column(column, overflow='fold')
            for row in rows:
                table.add_row(*map(escape, row))
            if rows:
                console.print(table)
        for note in [*self.notes, *self.splits.odd]:
            console.print(f'note: {note}', markup=False)


@exit_with_message
def main(args: argparse.Namespace) -> None:
    """Show the tables of the splits, notes, and all faults."""
    cfg = read_config(args)
    if not any(cfg.get(f'{split}_dataloader') for split in SPLITS):
        raise ConfigError(f'config {args.config!r} has none of {", ".join(f"{split}_dataloader" for split in SPLITS)}')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')), reading() as notes:
        report = Report(cfg, args, notes)
        for split in SPLITS:
            with report.faults.under():
                report.add(split)
    report.print()
    report.faults.report()
