"""What a config's training step needs, and what other ways to train the same model would.

    python tools/analysis_tools/memory_report.py configs/man/faster_rcnn_r50_man_coco.py --shape 3 512 512
    python tools/analysis_tools/memory_report.py mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py --local fba

With --estimate no kernel runs, so that sizes can be asked for that this machine could not hold. Without, peaks are
measured (on the CPU from the allocator's events, on CUDA from its statistics of allocated bytes), and steps are timed.
"""

import argparse
import statistics
from collections import Counter
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from mmlocal.cli import add_config_arguments, exit_with_message, load_config
from mmlocal.config import find_backbone, method_names
from mmlocal.errors import ConfigError
from mmlocal.planning import TrainingStep, count_costs, draw_live_bytes, estimate, image_batch, variants

KINDS = ('activation', 'gradient', 'workspace')


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='file, or one of a host: mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
    parser.add_argument('--local', metavar='METHOD', help=f'train it by local learning: {", ".join(method_names())}')
    parser.add_argument('--blocks', type=int, default=4, help='blocks of --local (default: 4)')
    parser.add_argument('--shape', type=int, nargs=3, metavar=('C', 'H', 'W'), help="images; the config's own")
    parser.add_argument('--batch', type=int, help="images in a batch; the config's own")
    parser.add_argument('--estimate', action='store_true', help='count from shapes, without running a kernel')
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--rounds', type=int, default=3, help='timed steps of each way')
    parser.add_argument('--out', help='file of the picture (default: memory.png in the work directory)')
    add_config_arguments(parser)
    args = parser.parse_args()
    if args.rounds < 1 or (args.batch or 1) < 1 or min(args.shape or [1]) < 1:
        parser.error('--shape, --batch and --rounds must be positive')
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: torch sees no GPU here')
    if args.out and Path(args.out).suffix not in ('.png', '.pdf', '.svg'):
        parser.error(f'--out {args.out!r} must end with .png, .pdf or .svg')
    return args


class Row:
    """One way to train: its peak, what makes it, and its time."""

    def __init__(self, variant, shape, batch, args):
        self.name = variant.name
        self.seconds = None
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
        self.kinds = Counter()
        for entry in entries:
            self.kinds[entry.kind] += entry.nbytes
        self.of_auxiliaries = sum(e.nbytes for e in entries if any(part.endswith('.auxiliary') for part in e.label))
        self.weights = sum(p.numel() * p.element_size() for p in step.model.parameters())
        self.state = step.static_bytes() - self.weights
        self.largest = entries[:5]


def mib(nbytes):
    return f'{nbytes / 2**20:.1f}'


def show(rows, title, console):
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
        cells += [mib(row.reserved)] if reserving else []
        cells += [f'{row.seconds:.2f}', f'{row.seconds / rows[0].seconds:.2f}'] if timed else []
        table.add_row(row.name, *cells)
    console.print(table)


def tell_peak(row, console):
    console.print(f'The peak of {row.name} is made of:')
    for entry in row.largest:
        where = '.'.join(entry.label[-1:]) or 'forward, or the end'
        console.print(f'  {mib(entry.nbytes):>8} MiB  {entry.made_by} {list(entry.shape)}, {entry.kind}, in {where}')


@exit_with_message
def main():
    args = parse_args()
    cfg = load_config(args)
    given = {key: value for key, value in (('shape', args.shape), ('batch', args.batch)) if value}
    try:
        shape, batch = image_batch(cfg, given)
    except ConfigError as error:
        raise ConfigError('--shape and --batch are needed: no transform of train_dataloader tells the size') from error
    local = find_backbone(cfg) is not None
    costs = count_costs(cfg, shape, batch) if local and isinstance(find_backbone(cfg)[1].auxiliary, dict) else None
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


if __name__ == '__main__':
    main()
