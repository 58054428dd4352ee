"""Train every mini set by local learning and end to end, and write both side by side to docs/results/mini.md.

    make bench-mini

Both sides of a pair run at the same time, one thread each, so that their times can be compared. A run that
was stopped goes on where it was; what is finished is not trained again unless `--fresh` is given.
"""

import argparse
import datetime
import os
import platform
import shutil
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from runs import ROOT, minutes, results, run, train_once

WORK = Path('work_dirs/mini')
REPORT = ROOT / 'docs/results/mini.md'


@dataclass(frozen=True)
class Task:
    """A pair of configs and the score that decides: `decibel` differences are taken, of other scores ratios."""

    name: str
    local: str
    e2e: str
    metric: str
    label: str
    decibel: bool = False
    also: tuple[str, str] | None = None


TASKS = {
    task.name: task
    for task in (
        Task('detection', 'faster_rcnn_r18_man_mini-coco', 'faster_rcnn_r18_mini-coco', 'coco/bbox_mAP', 'bbox mAP'),
        Task(
            'segmentation',
            'deeplabv3_r18_man_mini-cityscapes',
            'deeplabv3_r18_mini-cityscapes',
            'mIoU',
            'mIoU',
        ),
        Task(
            'super-resolution',
            'edsr_x2_man_mini-div2k',
            'edsr_x2_mini-div2k',
            'PSNR',
            'PSNR in dB',
            decibel=True,
            also=('SSIM', 'SSIM'),
        ),
        Task('classification', 'resnet32_man_mini-digits', 'resnet32_mini-digits', 'accuracy/top1', 'top-1 in %'),
    )
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--tasks', nargs='+', choices=list(TASKS), default=list(TASKS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1])
    parser.add_argument('--fresh', action='store_true', help='forget what was trained before')
    return parser.parse_args()


def train_pair(task, seed):
    """Both sides at once; each side's folder."""
    folders = {side: WORK / task.name / f'{side}-seed{seed}' for side in ('local', 'e2e')}
    paths = {'local': f'configs/man/{task.local}.py', 'e2e': f'configs/e2e/{task.e2e}.py'}
    with ThreadPoolExecutor(len(folders)) as pool:
        runs = [
            pool.submit(
                train_once,
                paths[side],
                folder,
                '--cfg-options',
                f'randomness.seed={seed}',
                prefix=f'{task.name} {side} seed {seed}: ',
                env={'OMP_NUM_THREADS': '1'},
            )
            for side, folder in folders.items()
        ]
        for one in runs:
            one.result()
    return folders


def row(task, seeds):
    """A line of the table: each side's scores, peak and time, and how they compare."""
    sides = {
        side: [results(WORK / task.name / f'{side}-seed{s}', task.metric) for s in seeds] for side in ('local', 'e2e')
    }
    local, e2e = sides['local'], sides['e2e']
    compared = [a[0] - b[0] if task.decibel else a[0] / b[0] for a, b in zip(local, e2e, strict=True)]
    digits = 2 if task.decibel or '%' in task.label else 3
    mean = statistics.mean(compared) if task.decibel else sum(a[0] for a in local) / sum(b[0] for b in e2e)
    scores = [' / '.join(f'{one[0]:.{digits}f}' for one in side) for side in (local, e2e)]
    peaks = [statistics.median(one[1] for one in side) for side in (local, e2e)]
    seconds = [statistics.median(one[2] for one in side) for side in (local, e2e)]
    cells = [
        task.name,
        task.label,
        *scores,
        ' / '.join(f'{c:+.2f} dB' if task.decibel else f'{c:.3f}' for c in compared),
        f'{mean:+.2f} dB' if task.decibel else f'{mean:.3f}',
        f'{peaks[0]:.1f} / {peaks[1]:.1f}',
        f'{peaks[0] / peaks[1]:.2f}',
        f'{seconds[0]:.3f} / {seconds[1]:.3f}',
        f'{seconds[0] / seconds[1]:.2f}',
    ]
    return '| ' + ' | '.join(cells) + ' |'


def extra(task, seeds):
    """A second metric of the same runs, in a sentence."""
    metric, label = task.also
    shown = {
        side: ' / '.join(f'{results(WORK / task.name / f"{side}-seed{s}", metric)[0]:.4f}' for s in seeds)
        for side in ('local', 'e2e')
    }
    return f'- {task.name}: {label} {shown["local"]} local, {shown["e2e"]} end-to-end.'


def report(tasks, seeds):
    """The table as Markdown, with what it was measured with."""
    # Both sides of a pair ran at once.
    took = sum(
        max(minutes(WORK / t.name / f'{side}-seed{s}') for side in ('local', 'e2e')) for t in tasks for s in seeds
    )
    header = (
        '| task | score | local (MAN) | end-to-end | local : end-to-end | of the means | peak MiB, local / e2e | ratio '
        '| s per iteration, local / e2e | ratio |'
    )
    rows = [row(task, seeds) for task in tasks]
    extras = [extra(task, seeds) for task in tasks if task.also]
    lines = [
        '# The mini sets, trained locally and end to end',
        '',
        f'`make bench-mini`, {datetime.date.today()}; {os.cpu_count()} cores ({platform.machine()}), no GPU,',
        f'torch {torch.__version__}; {took:.0f} minutes in all. Scores: last validation, of the seeds',
        f'{" / ".join(map(str, seeds))}, nothing selected. Both sides of a pair ran at once, one thread each. Peak:',
        'live bytes above the weights in one iteration. These sets are small and made for comparisons of this kind',
        '(`docs/datasets.md`): no figure here says anything about the real datasets.',
        '',
        header,
        '|' + ' --- |' * 10,
        *rows,
        '',
        *extras,
    ]
    return '\n'.join(lines) + '\n'


def main():
    args = parse_args()
    if args.fresh:
        shutil.rmtree(ROOT / WORK, ignore_errors=True)
    run('tools/dataset_converters/make_mini_dataset.py', 'all')
    tasks = [TASKS[name] for name in args.tasks]
    for task in tasks:
        for seed in args.seeds:
            train_pair(task, seed)
    text = report(tasks, args.seeds)
    print(text)
    if len(tasks) == len(TASKS):
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(text)
        print(f'written to {REPORT.relative_to(ROOT)}')


if __name__ == '__main__':
    main()
