"""Peaks and times of local learning beside end-to-end training and checkpointing: `make bench-memory`.

Writes docs/results/memory.md, with the words of memory_notes.md beside it. Every row is a config with the arguments
given here, measured as by tools/benchmark.py: a process each, steps in turn. On a GPU: ARGS="--device cuda".
"""

import argparse
import datetime
import json
import sys
from pathlib import Path

from mmlocal.cli import exit_with_message, load_config
from mmlocal.planning import Variant, checkpointed, end_to_end, machine, measure

ROOT = Path(__file__).parents[2]
BACKBONE = 'model.backbone.'
AUXILIARY = BACKBONE + 'auxiliary.'
TRAINS = {BACKBONE + 'frozen_stages': -1, BACKBONE + 'norm_eval': False}
DGL = {AUXILIARY + 'bridge': None}
CHUNKS = {AUXILIARY + 'chunks': 4}
# A coarser local head, for detectors.
COARSE = {AUXILIARY + 'head': dict(min_stride=16)}
BRIDGE_AGAIN = {AUXILIARY + 'chunks': 2, AUXILIARY + 'recompute': True}
MAN = dict(type='mmlocal.MomentumBridge', momentum=0.995)
MAN_PLUS_PLUS = {AUXILIARY + 'bridge.scaling': True}


def balanced(num_blocks, shape, batch, slot=BACKBONE):
    """The cuts of so many balanced blocks at the images of the row."""
    return {slot + 'partition': dict(type='Balanced', num_blocks=num_blocks, shape=shape, batch=batch, _delete_=True)}


class Row:
    """A config, what is changed in it, and the images.

    The aims are the largest ratios that were asked for: of the peak to end-to-end and to `with_cp`, and of the time.
    """

    def __init__(self, title, config, options, num_blocks, shape, batch, aims, local=None, slot=BACKBONE):
        self.title, self.config, self.shape, self.batch, self.aims = title, config, shape, batch, aims
        self.local = local
        cuts = balanced(num_blocks, shape, batch, slot) if num_blocks else {}
        self.options = {**cuts, **options}

    def load(self):
        given = dict(config=self.config, local=self.local, blocks=4, cfg_options=self.options)
        return load_config(argparse.Namespace(**given, launcher='none', local_rank=0, work_dir=None))


IMAGENET, COCO = (3, 224, 224), (3, 512, 512)
ROWS = [
    Row('ResNet-50, DGL', 'configs/man/resnet50_man-plus-plus_imagenet.py', DGL, 7, IMAGENET, 16, (0.36, 0.75, 1.10)),
    Row('ResNet-50, MAN++, chunks', 'configs/man/resnet50_man-plus-plus_imagenet.py',
        CHUNKS, 4, IMAGENET, 16, (0.42, 0.86, 1.3)),
    Row('ResNet-101, DGL', 'configs/man/resnet101_man-plus-plus_imagenet.py', DGL, 6, IMAGENET, 8, (0.29, 0.66, 1.05)),
    Row('ResNet-101, MAN, chunks', 'configs/man/resnet101_man-plus-plus_imagenet.py',
        {**CHUNKS, AUXILIARY + 'bridge.scaling': False}, 6, IMAGENET, 8, (0.29, 0.66, 1.40)),
    Row('Faster R-CNN R50-FPN, MAN++, nothing frozen, heads at stride 16, chunks, bridges again',
        'configs/man/faster_rcnn_r50_man_coco.py', {**TRAINS, **MAN_PLUS_PLUS, **COARSE, **BRIDGE_AGAIN}, 5, COCO, 2,
        (0.45, 0.77, 1.10)),
    Row('Faster R-CNN R50-FPN, MAN++, stage 1 frozen', 'configs/man/faster_rcnn_r50_man_coco.py',
        {**MAN_PLUS_PLUS, BACKBONE + 'norm_eval': False}, 4, COCO, 2, (0.50, 0.73, 1.10)),
    Row('RetinaNet R50-FPN, MAN++, nothing frozen, heads at stride 16, chunks, bridges again',
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', {**TRAINS, **COARSE, **BRIDGE_AGAIN}, 4, COCO, 2,
        (0.47, 0.75, 1.15), local='man_plus_plus'),
    Row('DeepLabV3 R101-d8, InfoPro and MAN, bridges again',
        'configs/infopro/deeplabv3_r101_infopro_k2_cityscapes.py',
        {AUXILIARY + 'bridge': MAN, AUXILIARY + 'recompute': True}, 6, COCO, 2, (0.35, 0.80, 1.15)),
    Row('EDSR-baseline x2, MAN, chunks', 'configs/man/edsr_x2_man_div2k.py', {'model.generator.auxiliary.chunks': 4}, 4,
        (3, 48, 48), 16, (0.40, None, 1.25), slot='model.generator.'),
    Row('ResNet-110, K = 55, MAN and InfoPro, as published', 'configs/man/resnet110_man-infopro_k55_cifar10.py',
        {}, None, (3, 32, 32), 64, (0.12, 0.60, 4.0)),
    Row('ResNet-110, K = 55, MAN and InfoPro, 2 chunks', 'configs/man/resnet110_man-infopro_k55_cifar10.py',
        {AUXILIARY + 'chunks': 2}, None, (3, 32, 32), 64, (0.12, 0.60, 4.0)),
]  # fmt: skip


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5, help='timed steps of each way')
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--only', help='rows whose title has this in it')
    parser.add_argument('--work-dir', default='work_dirs/memory', help='folder of what was measured')
    parser.add_argument('--out', default=str(ROOT / 'docs' / 'results' / 'memory.md'))
    return parser.parse_args()


def measured(row, args):
    """What a row gave, measured once and kept in the work directory."""
    cfg = row.load()
    ways = [Variant('end-to-end', end_to_end(cfg)), checkpointed(cfg), Variant('local', cfg)]
    found = measure(ways, row.shape, row.batch, args.rounds, args.device)
    partition = (cfg.model.get('generator') or cfg.model.backbone).partition
    return dict(
        title=row.title,
        config=row.config,
        batch=row.batch,
        shape=row.shape,
        aims=row.aims,
        cuts=list(partition) if isinstance(partition, list) else None,
        ways=[dict(name=f.name, peak=f.peak_bytes, static=f.static_bytes, seconds=f.median) for f in found],
    )


def told(value, aim):
    """A ratio, and what was asked for, in bold where it was not reached."""
    text = f'{value:.3f}' if value < 1 else f'{value:.2f}'
    if aim is None:
        return text
    return f'{text} ({aim:g})' if value <= aim else f'**{text}** ({aim:g})'


def line(row):
    whole, checkpointing, local = row['ways']
    peak, seconds = local['peak'], local['seconds']
    aims = row['aims']
    return ' | '.join(
        [
            f'| {row["title"]}',
            f'{row["batch"]}x{"x".join(map(str, row["shape"][1:]))}',
            *(f'{way["peak"] / 2**20:.0f}' for way in row['ways']),
            told(peak / whole['peak'], aims[0]),
            told(peak / checkpointing['peak'], aims[1]),
            f'{checkpointing["seconds"] / whole["seconds"]:.2f}',
            f'{told(seconds / whole["seconds"], aims[2])} |',
        ]
    )


def page(rows, args):
    today = datetime.date.today().isoformat()
    cuts = '\n'.join(
        f'- {row["title"]}: `{row["config"]}`, cut behind '
        + (', '.join(row['cuts']) if row['cuts'] else "the papers' units")
        for row in rows
    )
    table = '\n'.join(map(line, rows))
    text = (ROOT / 'docs' / 'results' / 'memory_notes.md').read_text()
    return f"""# Memory

`make bench-memory`, {today}; {machine(args.device)}, {args.device}.
Peaks of live bytes in a training step above weights and optimizer state, batch norm training, random images; times are
medians of {args.rounds} steps in turn. Ratios to end-to-end training of the same model, and to its own checkpointing
(`with_cp`; units recomputed where a network has none). In brackets what was aimed at; in bold where it is not reached.

| | images | MiB | with_cp | local | ratio | to with_cp | time, with_cp | time, local |
|---|---|---|---|---|---|---|---|---|
{table}

{text}
## Cuts

{cuts}
"""


@exit_with_message
def main():
    args = parse_args()
    kept = Path(args.work_dir)
    kept.mkdir(parents=True, exist_ok=True)
    for i, row in enumerate(ROWS):
        if args.only is None or args.only in row.title:
            (kept / f'{i}.json').write_text(json.dumps(measured(row, args)))
            sys.stdout.write(f'{line(json.loads((kept / f"{i}.json").read_text()))}\n')
            sys.stdout.flush()
    rows = [json.loads(path.read_text()) for i in range(len(ROWS)) if (path := kept / f'{i}.json').exists()]
    Path(args.out).write_text(page(rows, args))
    # What the tests hold.
    Path(args.out).with_suffix('.json').write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    main()
