"""What a config's training step needs, and what other ways to train the same model would.

With --estimate no kernel runs, so that sizes can be asked for that this machine could not hold. Without, peaks are
measured (on the CPU from the allocator's events, on CUDA from its statistics of allocated bytes), and steps are timed.
"""

from __future__ import annotations

import argparse
import statistics
from collections import Counter
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from mmlocal.cli import exit_with_message, load_config
from mmlocal.config import find_backbone
from mmlocal.errors import ConfigError
from mmlocal.planning import TrainingStep, Variant, count_costs, draw_live_bytes, estimate, image_batch, variants

KINDS = ('activation', 'gradient', 'workspace')


class Row:
    """One way to train: its peak, what makes it, and its time."""

    def __init__(self, variant: Variant, shape: tuple[int, int, int], batch: int, args: argparse.Namespace) -> None:
        self.name = variant.name
        self.seconds: float | None = None
        if args.estimate:
            step, self.ledger = estimate(variant.cfg, shape, batch, amp=variant.amp)
            self.peak = self.ledger.peak_bytes
        else:
            step = TrainingStep(variant.cfg, shape, batch, args.device, amp=variant.amp)
            self.peak = step.peak_bytes()
            self.seconds = statistics.median(step.run() for _ in range(args.rounds))
            # Its bytes are the CPU's own: which kernels run on a GPU is not known to it.
            self.ledger = step.ledger()
        self.reserved = step.reserved_bytes()
        entries = self.ledger.at_peak()
        self.kinds: Counter[str] = Counter()
        for entry in entries:
            self.kinds[entry.kind] += entry.nbytes
        self.of_auxiliaries = sum(e.nbytes for e in entries if any(part.endswith('.auxiliary') for part in e.label))
        self.weights = sum(p.numel() * p.element_size() for p in step.model.parameters())
        self.state = step.static_bytes() - self.weights
        self.largest = entries[:5]


def mib(nbytes: float) -> str:
    """Bytes as MiB, to a tenth."""
    return f'{nbytes / 2**20:.1f}'


def show(rows: list[Row], title: str, console: Console) -> None:
    """The table of all ways, each beside the first."""
    timed, reserving = rows[0].seconds is not None, rows[0].reserved is not None
    table = Table(title=title)
    table.add_column('MiB')
    for column in ('peak', 'ratio', 'activations', 'gradients', 'in kernels', 'of auxiliaries', 'weights', 'state'):
        table.add_column(column, justify='right')
    for column in (*(['reserved'] if reserving else []), *(['s a step', 'ratio'] if timed else [])):
        table.add_column(column, justify='right')
    for row in rows:
        cells = [mib(row.peak), f'{row.peak / rows[0].peak:.3f}', *(mib(row.kinds[kind]) for kind in KINDS)]
        cells += [mib(row.of_auxiliaries), mib(row.weights), mib(row.state)]
        cells += [] if row.reserved is None else [mib(row.reserved)]
        if row.seconds and rows[0].seconds:
            cells += [f'{row.seconds:.2f}', f'{row.seconds / rows[0].seconds:.2f}']
        table.add_row(row.name, *cells)
    console.print(table)


def tell_peak(row: Row, console: Console) -> None:
    """What the peak of a way is made of, the largest first."""
    console.print(f'The peak of {row.name} is made of:')
    for entry in row.largest:
        where = '.'.join(entry.label[-1:]) or 'forward, or the end'
        console.print(f'  {mib(entry.nbytes):>8} MiB  {entry.made_by} {list(entry.shape)}, {entry.kind}, in {where}')


@exit_with_message
def main(args: argparse.Namespace) -> None:
    """Show a table, and draw live bytes over the step.

    Raises:
        ConfigError: with all that is wrong with the config, or if the size of images is not known.
    """
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise ConfigError('--device cuda: torch sees no GPU here')
    cfg = load_config(args)
    given = {key: value for key, value in (('shape', args.shape), ('batch', args.batch)) if value}
    try:
        shape, batch = image_batch(cfg, given)
    except ConfigError as error:
        raise ConfigError('--shape and --batch are needed: no transform of train_dataloader tells the size') from error
    local = find_backbone(cfg)
    costs = count_costs(cfg, shape, batch) if local and isinstance(local[1].auxiliary, dict) else None
    console = Console(highlight=False, width=160)
    rows = []
    for variant in variants(cfg, costs):
        console.print(f'{variant.name} ...', style='dim')
        try:
            rows.append(Row(variant, shape, batch, args))
        except ConfigError as error:
            # What every way has in common is wrong in the first one; some hosts' kernels know no mixed precision.
            if not rows or not variant.amp:
                raise
            console.print(f'  not possible: {error}')
    how = 'estimated, no kernel run' if args.estimate else f'measured on {args.device}'
    show(rows, f'{args.config}: {batch} images of {"x".join(map(str, shape))}, {how}', console)
    chosen = [rows[0], *(row for row in rows if row.name.startswith('local as configured'))][:2]
    tell_peak(chosen[-1], console)
    path = Path(args.out or Path(cfg.work_dir) / 'memory.png')
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_live_bytes({row.name: row.ledger for row in chosen}, path)
    console.print(f'Live bytes over the step: {path}')
    if not local:
        console.print('Not local: add --local METHOD to see what local learning would need.')
