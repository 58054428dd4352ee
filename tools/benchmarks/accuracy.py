"""Train one classifier on Fashion-MNIST by every method, and write docs/results/accuracy.md: `make bench-accuracy`.

    python tools/benchmarks/accuracy.py --dry-run
    python tools/benchmarks/accuracy.py --methods man --seeds 3 --blocks 4

Each training is a process of tools/train.py. What is finished is in docs/results/accuracy.json and is not trained again
while config, seed and version are the same. Stop it at any time (Ctrl-C, SIGTERM, kill): the same command goes on.
"""

import argparse
import copy
import os
import platform
import subprocess
import sys
from pathlib import Path

import torch
from mmengine.config import DictAction

from mmlocal.benchmarks import E2E, Records, Training, all_cases, config_of, key_of, run_all, stop_on_signals
from mmlocal.benchmarks.cases import CUTS, Case, in_order, seeds_of
from mmlocal.benchmarks.page import page, rows_of
from mmlocal.benchmarks.picture import draw
from mmlocal.benchmarks.timing import expected_hours, time_beside
from mmlocal.cli import exit_with_message
from mmlocal.datasets.fashion_mnist import VAL_IMAGES, find_fashion_mnist, held_out
from mmlocal.datasets.idx import read_idx
from mmlocal.errors import ConfigError
from mmlocal.version import __version__

ROOT = Path(__file__).resolve().parents[2]
RECIPE = (
    'ResNet-20 with a stem of stride 2 (configs/e2e/resnet20_fashion-mnist.py), for all methods alike: 55,000 images '
    'train, 5,000 of the training files validate, the 10,000 test images are seen once, by the best epoch. Crop and '
    'flip; batches of 128; SGD with Nesterov momentum 0.9, rate 0.1, weight decay 5e-4; a warm-up of one epoch, then '
    'half a cosine, twelve epochs in all. Presets as they stand in mmlocal/config/presets, none tuned for this set.'
)
OWN = (
    'Own recipes: infopro with the weights of its released command for this K (K = 10: those of K = 8); predsim with '
    'Adam at 5e-4, quartered at 50, 75, 89 and 94 % of the training, without its dropout. '
)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument('--methods', nargs='+', help=f'presets, or {E2E!r}; all if not given')
    parser.add_argument('--blocks', nargs='+', type=int, default=[4, 10], help=f'K, of {", ".join(map(str, CUTS))}')
    parser.add_argument('--seeds', type=int, help='seeds of each row; 3 in the main table and 1 elsewhere if not given')
    parser.add_argument(
        '--only-missing',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='leave out what is recorded (default); --no-only-missing trains it again',
    )
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--jobs', type=int, default=2, help='trainings at a time')
    parser.add_argument('--threads', type=int, default=1, help='threads of each')
    parser.add_argument('--time', action='store_true', help='measure times and peaks of steps, and train nothing')
    parser.add_argument('--rounds', type=int, default=20, help='steps that --time measures of each')
    parser.add_argument('--dry-run', action='store_true', help='list what is to be done, and the hours it takes')
    parser.add_argument('--page-only', action='store_true', help='write the page from the records alone')
    parser.add_argument('--data-root', help="folder of Fashion-MNIST, if it is neither Debian's nor data/")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings to override; part of the key')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/accuracy'))
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'results', help='folder of page, picture, records')
    args = parser.parse_args()
    given = {name: getattr(args, name) for name in ('jobs', 'threads', 'rounds', 'seeds')}
    low = [name for name, value in given.items() if value is not None and value < 1]
    if low:
        raise ConfigError(*(f'--{name} has to be 1 or more' for name in low))
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise ConfigError('--device cuda: torch sees no GPU here')
    return args


class Benchmark:
    """What the command line asks for, with its records."""

    def __init__(self, args):
        self.args = args
        self.records = Records(args.out / 'accuracy.json')
        self.cases = all_cases(args.methods, args.blocks)
        self._configs = {}
        self.options = dict(args.cfg_options or {})
        if args.data_root:
            root = str(Path(args.data_root).absolute())
            self.options |= {f'{split}_dataloader.dataset.data_root': root for split in ('train', 'val', 'test')}
        hardware = torch.cuda.get_device_name() if args.device == 'cuda' else cpu_name()
        self.about = dict(
            device=args.device, hardware=hardware, torch=torch.__version__, version=__version__, commit=commit()
        )

    def config(self, case, seed):
        if case not in self._configs:
            self._configs[case] = config_of(case, 0, self.options)
        cfg = copy.deepcopy(self._configs[case])
        cfg.randomness.seed = seed
        return cfg

    def trainings(self):
        """All that were asked for, in the order of work."""
        work = in_order((case, seed) for case in self.cases for seed in seeds_of(case, self.args.seeds))
        folder = self.args.work_dir.absolute()
        return [Training(c, s, self.config(c, s), folder, self.records, self.about) for c, s in work]

    def missing(self):
        known = self.records.table('runs') if self.args.only_missing else {}
        return [training for training in self.trainings() if training.key not in known]

    def time(self, case):
        return self.records.table('times').get(key_of(self.config(case, 0), device=self.args.device))


def cpu_name():
    lines = Path('/proc/cpuinfo').read_text().splitlines() if Path('/proc/cpuinfo').exists() else []
    names = [line.split(':')[1].strip() for line in lines if line.startswith('model name')]
    return f'{os.cpu_count()} cores ({names[0] if names else platform.machine()})'


def commit():
    """Of the checkout, with a plus where it was changed; the version alone does not tell two of them apart."""
    answer = subprocess.run(
        ['git', 'describe', '--always', '--dirty=+', '--exclude=*'], cwd=ROOT, capture_output=True, text=True
    )
    return answer.stdout.strip() or 'unknown'


def dry_run(bench):
    missing = bench.missing()
    for training in missing:
        print(training)
    times = {case: bench.time(case) for case in {training.case for training in missing}}
    whole = bench.time(Case(E2E))
    labels = read_idx(next(find_fashion_mnist(bench.args.data_root).glob('train-labels*')))
    dataset = bench.config(Case(E2E), 0).train_dataloader.dataset
    images = len(labels) - len(held_out(labels, dataset.get('val_images', VAL_IMAGES)))
    told = f'{len(missing)} trainings to be done'
    if whole:
        steps = [(steps_of(training.cfg, images), times[training.case]) for training in missing]
        hours, guessed = expected_hours(steps, whole['seconds'], bench.args.jobs)
        told += f', about {hours:.1f} hours, {bench.args.jobs} at a time'
        told += f' ({guessed} of a method that is not timed, guessed)' if guessed else ''
    print(f'{told}{"" if whole else "; --time measures how long they take"}.')


def steps_of(cfg, images):
    return cfg.train_cfg.max_epochs * (images // cfg.train_dataloader.batch_size)


def measure_times(bench):
    base = bench.config(Case(E2E), 0)
    for case in bench.cases:
        if bench.args.only_missing and bench.time(case):
            continue
        cfg = bench.config(case, 0)
        found = time_beside(base, cfg, bench.args.rounds, bench.args.device)
        entry = {**bench.about, 'method': case.method, 'blocks': case.blocks, 'recipe': case.recipe, **found}
        bench.records.add('times', key_of(cfg, device=bench.args.device), entry)
        print(f'{case}: {found["seconds"]:.3f} s a step, {found["ratio"]:.2f} of end-to-end', flush=True)


def train(bench):
    find_fashion_mnist(bench.args.data_root)
    missing = bench.missing()
    if not bench.args.only_missing:
        for training in missing:
            training.forget()
    threads = str(bench.args.threads)
    env = dict(OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads)
    if bench.args.device == 'cpu':
        env['CUDA_VISIBLE_DEVICES'] = ''

    def tell(text):
        print(text, flush=True)
        if ': done' in text:
            write_page(bench)

    failures = run_all(missing, bench.args.jobs, env, tell)
    if failures:
        raise ConfigError(*failures)


def write_page(bench):
    """Of all rows that there are to be, and not only of those that were asked for."""
    cases = all_cases(None, sorted({4, 10, *bench.args.blocks}))
    tables = {name: bench.records.table(name) for name in ('runs', 'times')}
    seeds = max([3, bench.args.seeds or 0, *(run['seed'] + 1 for run in tables['runs'].values())])
    keys = {(c, s): key_of(bench.config(c, s), device=bench.args.device) for c in cases for s in range(seeds)}
    rows = rows_of(cases, keys, tables)
    drawn = draw(rows, bench.args.out / 'accuracy.png')
    cuts = '; '.join(f'K = {k} behind {", ".join(units)}' for k, units in CUTS.items())
    about = dict(command='make bench-accuracy', recipe=RECIPE, cuts=f'{OWN}Cuts: {cuts}.')
    (bench.args.out / 'accuracy.md').write_text(page(rows, about, 'accuracy.png' if drawn else None))


@exit_with_message
def main():
    bench = Benchmark(parse_args())
    if bench.args.dry_run:
        dry_run(bench)
        return
    bench.args.out.mkdir(parents=True, exist_ok=True)
    try:
        with stop_on_signals():
            if bench.args.time:
                measure_times(bench)
            elif not bench.args.page_only:
                train(bench)
            write_page(bench)
    except KeyboardInterrupt:
        print('Stopped. The same command goes on where it was.', file=sys.stderr)
        sys.exit(130)


if __name__ == '__main__':
    main()
