"""Train one classifier by every method and end to end, and write error against peak memory and time.

    make bench-methods

Each run is a process of `tools/train.py`, one thread each, some at a time. What is finished is not trained again.
"""

import argparse
import datetime
import os
import platform
import statistics
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import torch
from matplotlib import pyplot as plt
from mmengine.config import Config
from runs import ROOT, results, run, train_once

from mmlocal.cli import exit_with_message
from mmlocal.config import make_local, method_names
from mmlocal.errors import ConfigError, nearest

BASE = 'configs/e2e/resnet32_mini-digits.py'
WORK = Path('work_dirs/methods')
E2E = 'end-to-end'
# The order that the papers give, by their errors.
ORDER = ((E2E,), ('man_plus_plus', 'hpff', 'mlaan', 'fba'), ('dgl',), ('greedy',))


@dataclass(frozen=True)
class Case:
    """A method and its number of blocks as the papers count it; end to end has none."""

    method: str
    blocks: int = 0

    @property
    def folder(self):
        return f'{self.method}-k{self.blocks}' if self.blocks else self.method

    def config(self, args, seed):
        cfg = Config.fromfile(ROOT / BASE)
        if self.blocks:
            cfg = make_local(cfg, self.method, 1)
            cfg.model.backbone.partition = dict(type='Published', num_blocks=self.blocks)
        resize = dict(type='Resize', scale=args.size)
        train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
        train.pipeline = [train.pipeline[0], resize, dict(type='RandomCrop', crop_size=args.size, padding=2)]
        train.pipeline.append(dict(type='PackInputs'))
        val.pipeline = [val.pipeline[0], resize, *val.pipeline[1:]]
        cfg.train_cfg.max_epochs = cfg.train_cfg.val_interval = cfg.param_scheduler[1].T_max = args.epochs
        cfg.optim_wrapper.optimizer.lr = args.lr
        cfg.randomness = dict(seed=seed)
        cfg.default_hooks.checkpoint.update(interval=args.epochs, max_keep_ckpts=1)
        return cfg


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--methods',
        nargs='+',
        default=[m for m in method_names() if m != 'hilo'],
        help='presets of mmlocal/config/presets',
    )
    parser.add_argument('--blocks', nargs='+', type=int, default=[8, 16], help='K, with published cuts')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--epochs', type=int, default=6)
    parser.add_argument('--lr', type=float, default=3e-3)
    parser.add_argument('--size', type=int, default=16, help='side of the images')
    parser.add_argument('--jobs', type=int, default=2, help='runs at a time')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/results', help='folder of the report')
    args = parser.parse_args()
    unknown = [m for m in args.methods if m not in method_names()]
    if unknown:
        raise ConfigError(*(f'--methods: {m!r} is no preset.{nearest(m, method_names())}' for m in unknown))
    return args


def train(case, seed, args):
    folder = WORK / case.folder / f'seed{seed}'
    path = ROOT / folder.parent / f'seed{seed}.py'
    path.parent.mkdir(parents=True, exist_ok=True)
    case.config(args, seed).dump(path)
    train_once(str(path), folder, prefix=f'{case.folder} seed {seed}: ', env={'OMP_NUM_THREADS': '1'})


def measured(case, seeds):
    """Errors in % of each seed, peak MiB, and median seconds of an iteration."""
    found = [results(WORK / case.folder / f'seed{seed}', 'accuracy/top1') for seed in seeds]
    errors = [100 - score for score, _, _ in found]
    return errors, statistics.median(f[1] for f in found), statistics.median(f[2] for f in found)


def spread(values):
    return statistics.stdev(values) if len(values) > 1 else 0.0


def table(table_of, base):
    lines = [
        '| method | K | error in % | peak MiB | of end-to-end | s per iteration | of end-to-end |',
        '|' + ' --- |' * 7,
    ]
    for case, (errors, peak, seconds) in table_of.items():
        cells = [
            case.method,
            str(case.blocks or ''),
            f'{statistics.mean(errors):.1f} ± {spread(errors):.1f}',
            f'{peak:.1f}',
            f'{peak / base[1]:.2f}',
            f'{seconds:.3f}',
            f'{seconds / base[2]:.2f}',
        ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return lines


def verdicts(table_of, blocks):
    """Whether the papers' order is found, group by group, against the spread over seeds."""
    lines = []
    for k in blocks:
        groups = []
        for names in ORDER:
            cases = [c for c in table_of if c.method in names and c.blocks in (0, k)]
            errors = [statistics.mean(table_of[c][0]) for c in cases]
            noise = [spread(table_of[c][0]) for c in cases]
            if cases:
                groups.append((', '.join(c.method for c in cases), statistics.mean(errors), max(noise)))
        for (better, low, a), (worse, high, b) in pairwise(groups):
            gap = high - low
            word = 'holds' if gap > max(a, b) else 'is within the spread' if gap > -max(a, b) else 'does **not** hold'
            lines.append(
                f'- K = {k}: {better} before {worse} {word} ({low:.1f} and {high:.1f} %, spread up to {max(a, b):.1f}).'
            )
    return lines


def about(args):
    """What was measured with what."""
    return (
        f'`make bench-methods`, {datetime.date.today()}; {os.cpu_count()} cores ({platform.machine()}), no GPU, torch '
        f'{torch.__version__}. ResNet-32 on the mini digits at {args.size}x{args.size}, {args.epochs} epochs of AdamW, '
        f'rate {args.lr:g}, for all; seeds {", ".join(map(str, args.seeds))}: mean and standard deviation of the last '
        'validation, nothing selected. K as the papers count, with their cuts. Every preset as it stands in '
        '`mmlocal/config/presets`, none tuned for this set. Peak: live bytes above the weights in one iteration; times '
        f'with {args.jobs} runs at a time, one thread each. A small set, a short training: it compares what the '
        'methods compute and cost here, not what they reach on CIFAR.'
    )


def report(table_of, args):
    base = table_of[Case(E2E)]
    return '\n'.join(
        [
            '# Methods, side by side',
            '',
            *textwrap.wrap(about(args), 120),
            '',
            *table(table_of, base),
            '',
            "## The papers' order",
            '',
            'End-to-end, then MAN++, HPFF, MLAAN and FBA, then DGL, then greedy learning:',
            '',
            *verdicts(table_of, args.blocks),
            '',
            '![Error against memory and time](methods.png)',
            '',
        ]
    )


def picture(table_of, path):
    figure, axes = plt.subplots(1, 2, figsize=(13, 5.5), sharey=True, layout='constrained')
    colours = {m: f'C{i % 10}' for i, m in enumerate(dict.fromkeys(c.method for c in table_of))}
    marks = dict(zip(sorted({c.blocks for c in table_of}), '*osD^', strict=False))
    for axis, index, label in zip(axes, (1, 2), ('peak memory, MiB', 'seconds an iteration'), strict=True):
        for case, found in table_of.items():
            name = f'{case.method}{f", K={case.blocks}" if case.blocks else ""}'
            axis.errorbar(
                found[index],
                statistics.mean(found[0]),
                spread(found[0]),
                fmt=marks[case.blocks],
                color=colours[case.method],
                label=name,
            )
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel('error in %, mean and standard deviation')
    axes[1].legend(fontsize='small', bbox_to_anchor=(1.01, 1), loc='upper left')
    figure.savefig(path, dpi=120)


@exit_with_message
def main():
    args = parse_args()
    run('tools/dataset_converters/make_mini_dataset.py', 'digits')
    cases = [Case(E2E), *(Case(m, k) for k in args.blocks for m in args.methods)]
    with ThreadPoolExecutor(args.jobs) as pool:
        for one in [pool.submit(train, case, seed, args) for seed in args.seeds for case in cases]:
            one.result()
    table_of = {case: measured(case, args.seeds) for case in cases}
    args.out.mkdir(parents=True, exist_ok=True)
    text = report(table_of, args)
    (args.out / 'methods.md').write_text(text)
    picture(table_of, args.out / 'methods.png')
    print(text)


if __name__ == '__main__':
    main()
