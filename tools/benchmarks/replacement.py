"""Networks with replaced units beside the same networks trained end to end: what a step costs, and what is learned.

    python tools/benchmarks/replacement.py steps mini

`steps`: one training step of ResNet-110 and ViT-S on generated images, all ways in one process, their steps in turn.
`mini`: ResNet-32 trained on the mini digits, some seeds. What is finished is not trained again. Either writes its
tables into docs/results/replacement.md.
"""

import argparse
import copy
import datetime
import itertools
import logging
import os
import platform
import statistics
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from runs import ROOT, results, train_once

from mmlocal.cli import exit_with_message
from mmlocal.config import localize
from mmlocal.hosts import import_hosts, name_installed_distributions
from mmlocal.memory import PeakMeter
from mmlocal.models.replacement import replaced_units
from mmlocal.planning import TrainingStep

WORK = Path('work_dirs/replacement')
REPORT = ROOT / 'docs' / 'results' / 'replacement.md'
E2E = 'end-to-end'
MIB = 2**20


@dataclass(frozen=True)
class Network:
    """A pair of configs: end to end and with replaced units; the images of a step."""

    title: str
    e2e: str
    replaced: str
    shape: tuple[int, int, int]
    batch: int


NETWORKS = (
    Network('ResNet-110', 'resnet110_cifar10', 'resnet110_replacement_cifar10', (3, 32, 32), 64),
    Network('ViT-S', 'vit-small_imagenet', 'vit-small_replacement_imagenet', (3, 224, 224), 8),
)
# Arguments beside those of the config, which has one of four units replaced, with two scalars each.
WAYS = {
    'scalars': {},
    'transformation': dict(form='transformation', on_unfit='skip'),
    'scalars, gradients shared': dict(share_grad=True),
    'scalars, 4 turns': dict(turns=4),
    'scalars, 4 turns, run again': dict(turns=4, recompute=True),
    'scalars, one of 2 units, 4 turns': dict(every=2, turns=4, on_unfit='skip'),
}
MINI = {
    E2E: 'configs/e2e/resnet32_mini-digits.py',
    'scalars': 'configs/replacement/resnet32_replacement_mini-digits.py',
    'transformation': 'configs/replacement/resnet32_replacement-fusion_mini-digits.py',
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('parts', nargs='+', choices=['steps', 'mini'])
    parser.add_argument('--rounds', type=int, default=5, help='timed steps of each way')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--epochs', type=int, default=16)
    parser.add_argument('--lr', type=float, default=3e-3, help='of all sides; that of the configs is 1e-3')
    parser.add_argument('--size', type=int, default=16, help='side of the mini images')
    parser.add_argument('--jobs', type=int, default=2, help='runs at a time')
    parser.add_argument('--out', type=Path, default=REPORT)
    return parser.parse_args()


class Timed:
    """A way to train, its peak and counts, and the seconds of the parts of its steps."""

    parts = ('forward', 'backward', 'optimizer')

    def __init__(self, cfg, network):
        import_hosts(cfg)
        self.step = TrainingStep(localize(cfg), network.shape, network.batch)
        self.model, self.optimizer = self.step.model, self.step.optim_wrapper.optimizer
        units = replaced_units(self.model)
        # Over all turns, whose peaks may differ.
        self.peak = max(self.measured() for _ in range(max([1, *(unit.turns for unit in units)])))
        self.trainable = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        kept = [value for state in self.optimizer.state.values() for value in state.values()]
        self.state = sum(value.nbytes for value in kept if isinstance(value, torch.Tensor) and value.numel() > 1)
        self.static, self.replaced, self.seconds = self.step.static_bytes(), len(units), []

    def measured(self):
        with PeakMeter('cpu') as meter:
            self.run()
        return meter.peak_bytes

    def run(self):
        """One step; seconds of its parts."""
        data = self.model.data_preprocessor(copy.deepcopy(self.step.batch), True)
        times = [time.perf_counter()]
        loss, _ = self.model.parse_losses(self.model(**data, mode='loss'))
        times.append(time.perf_counter())
        loss.backward()
        times.append(time.perf_counter())
        self.optimizer.step()
        self.optimizer.zero_grad()
        times.append(time.perf_counter())
        return [after - before for before, after in itertools.pairwise(times)]

    def medians(self):
        return [statistics.median(part) for part in zip(*self.seconds, strict=True)]


def measure(network, rounds):
    """All ways of a network by name, end to end first."""
    ways = {E2E: Config.fromfile(ROOT / f'configs/e2e/{network.e2e}.py')}
    for name, arguments in WAYS.items():
        ways[name] = Config.fromfile(ROOT / f'configs/replacement/{network.replaced}.py')
        ways[name].model.backbone.update(arguments)
    timed = {}
    for name, cfg in ways.items():
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            timed[name] = Timed(cfg, network)
    take_turns(timed.values(), rounds)
    return timed


def take_turns(timed, rounds):
    for _ in range(rounds):
        for one in timed:
            one.seconds.append(one.run())


def step_table(network, timed):
    base = timed[E2E]
    total = sum(base.medians())
    header = [
        '',
        'replaced',
        'trained, M',
        'optimizer state, MiB',
        'peak, MiB',
        'with weights and state, MiB',
        'of e2e',
    ]
    header += [f'{part}, s' for part in Timed.parts] + ['step, s', 'of e2e']
    lines = [
        f'**{network.title}**, {network.batch} images of {"x".join(map(str, network.shape))}:',
        '',
        f'| {" | ".join(header)} |',
        '|' + ' --- |' * len(header),
    ]
    for name, one in timed.items():
        parts, whole = one.medians(), one.static + one.peak
        cells = [name, str(one.replaced or ''), f'{one.trainable / 1e6:.3f}', f'{one.state / MIB:.1f}']
        cells += [f'{one.peak / MIB:.1f}', f'{whole / MIB:.1f}', f'{whole / (base.static + base.peak):.3f}']
        cells += [*(f'{part:.3f}' for part in parts), f'{sum(parts):.3f}', f'{sum(parts) / total:.3f}']
        lines.append(f'| {" | ".join(cells)} |')
    return [*lines, '']


def steps(args):
    about = (
        f'`python tools/benchmarks/replacement.py steps --rounds {args.rounds}`, {_machine()}, '
        f'{torch.get_num_threads()} threads. Medians of {args.rounds} steps, all ways in turn. Peak: live bytes above '
        'weights and optimizer state, the largest over the turns.'
    )
    tables = [line for network in NETWORKS for line in step_table(network, measure(network, args.rounds))]
    return [*textwrap.wrap(about, 120, break_on_hyphens=False), '', *tables]


def mini_config(side, seed, args):
    cfg = Config.fromfile(ROOT / MINI[side])
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.pipeline.insert(1, dict(type='Resize', scale=args.size))
    (crop,) = [step for step in cfg.train_dataloader.dataset.pipeline if step['type'] == 'RandomCrop']
    crop.update(crop_size=args.size, padding=args.size // 8)
    cfg.train_cfg.max_epochs = cfg.train_cfg.val_interval = cfg.param_scheduler[1].T_max = args.epochs
    cfg.default_hooks.checkpoint.update(interval=args.epochs, max_keep_ckpts=1)
    cfg.optim_wrapper.optimizer.lr = args.lr
    cfg.randomness = dict(seed=seed)
    return cfg


def train(side, seed, args):
    work = folder(side, seed, args)
    path = ROOT / work.parent / f'seed{seed}.py'
    path.parent.mkdir(parents=True, exist_ok=True)
    mini_config(side, seed, args).dump(path)
    train_once(str(path), work, prefix=f'{side} seed {seed}: ', env={'OMP_NUM_THREADS': '1'})


def folder(side, seed, args):
    return WORK / f'{side}-{args.size}px-{args.epochs}e' / f'seed{seed}'


def mini(args):
    with ThreadPoolExecutor(args.jobs) as pool:
        for one in [pool.submit(train, side, seed, args) for seed in args.seeds for side in MINI]:
            one.result()
    about = (
        f'`python tools/benchmarks/replacement.py mini --epochs {args.epochs} --size {args.size} '
        f'--lr {args.lr:g}`, {_machine()}. ResNet-32 on the mini digits at {args.size}x{args.size}, {args.epochs} '
        f'epochs of AdamW, rate {args.lr:g}; seeds '
        f'{", ".join(map(str, args.seeds))}, last validation, nothing selected.'
    )
    lines = [*textwrap.wrap(about, 120, break_on_hyphens=False), '']
    lines += ['| | top-1 in %, each seed | mean | of end-to-end, each seed | of the means |', '|' + ' --- |' * 5]
    base = None
    for side in MINI:
        scores = [results(folder(side, seed, args), 'accuracy/top1')[0] for seed in args.seeds]
        base = base or scores
        ratios = ' / '.join(f'{a / b:.3f}' for a, b in zip(scores, base, strict=True))
        listed = ' / '.join(f'{score:.1f}' for score in scores)
        lines.append(
            f'| {side} | {listed} | {statistics.mean(scores):.1f} | {ratios} | {sum(scores) / sum(base):.3f} |'
        )
    return [*lines, '']


def _machine():
    return f'{datetime.date.today()}, {os.cpu_count()} cores ({platform.machine()}), CPU, torch {torch.__version__}'


def write(part, lines, path):
    """Put a part between its marks; the words around it stay."""
    text = path.read_text() if path.exists() else ''
    begin, end = (f'<!-- {part}:{which} -->' for which in ('begin', 'end'))
    if begin not in text:
        text += f'\n{begin}\n{end}\n'
    before, _, rest = text.partition(begin)
    path.write_text('\n'.join([before + begin, *lines]) + end + rest.partition(end)[2])


@exit_with_message
def main():
    args = parse_args()
    name_installed_distributions()
    # Hosts log every parameter that they initialise.
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    for part in args.parts:
        lines = {'steps': steps, 'mini': mini}[part](args)
        print('\n'.join(lines))
        write(part, lines, args.out)


if __name__ == '__main__':
    main()
