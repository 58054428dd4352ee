"""Kill runs of many configurations at random moments, resume them, and compare each with one that was never killed.

`make bench-soak` writes docs/results/soak.md. Every attempt is tools/train.py with --resume, in a process of its own
that gets SIGKILL together with its data loader's workers. What one attempt knows of those before it is in the work
directory. Attempts are forked from this process, which has imported everything and trained nothing: importing would be
most of their time.
"""

import argparse
import datetime
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import torch
from soak_attempt import (
    ANYWHERE,
    PHASES,
    Attempt,
    durations,
    import_everything,
    kill_somewhere,
    newest_whole,
    result,
    unequal,
)
from soak_configs import CONFIGURATIONS, ROOT

AIMS = (*PHASES[1:], ANYWHERE)


class Soak:
    """Kills runs of one configuration until there were `kills`; each run that ends is compared.

    Args:
        folder: for work directories.
        arguments: of tools/train.py.
        seed: of the moments.
        stock: with mmengine's own `CheckpointHook`.
    """

    def __init__(self, folder, arguments, seed, stock=False):
        self.folder, self.arguments, self.stock = folder, arguments, stock
        self.draw, self.first = random.Random(seed), seed
        self.phases = Counter()
        self.runs = self.lost = self.values = 0
        self.differences = []

    @property
    def kills(self):
        return sum(self.phases.values())

    def __call__(self, kills):
        self.folder.mkdir(parents=True, exist_ok=True)
        reference = self.folder / 'reference'
        attempt = Attempt(reference, self.arguments)
        self.lasts = durations(attempt)
        if attempt.wait():
            sys.exit(f'the run without kills failed:\n{reference.with_suffix(".log").read_text()[-3000:]}')
        expected = result(reference)
        self.values = len(expected)
        while self.kills < kills:
            work_dir = self.folder / f'run{self.runs}'
            self.runs += 1
            if self._ends(work_dir, kills):
                self.differences += [f'{work_dir}: {name}' for name in unequal(result(work_dir), expected)]
                shutil.rmtree(work_dir)
        return self

    def _ends(self, work_dir, kills):
        """Kill and resume a run until it ends by itself; whether it does."""
        reached = (0, 0)
        while True:
            attempt = Attempt(work_dir, self.arguments, self.stock)
            # In turn, as writing, the shortest, would be met too rarely.
            wanted = AIMS[(self.first + self.kills) % len(AIMS)]
            phase = kill_somewhere(attempt, self.draw, self.lasts, wanted) if self.kills < kills else None
            if phase is None and attempt.wait() == 0:
                return True
            if phase is None:
                self.differences.append(f'{work_dir} could not be resumed')
                return False
            self.phases[phase] += 1
            whole = newest_whole(work_dir)
            if any(now < before for now, before in zip(whole, reached, strict=True)):
                self.lost += 1
                return False
            reached = whole


PAGE = """# Killed and resumed

`make bench-soak{arguments}` on {date}, 2 cores, CPU, torch {torch}: {count} configurations, each trained for
{epochs} epochs of {batches} batches, killed with SIGKILL together with its data loader's workers, and resumed with
`--resume` each time: in turn at random moments of training a batch, of saving, of writing, of validation, and of the
whole time. The columns say where a run was then. {seconds:.0f} seconds in all. The configurations are in
`tools/benchmarks/soak_configs.py`.

| | kills | in a batch | saving | writing | in validation | at start, in between | lost | differ | values |
|---|---|---|---|---|---|---|---|---|---|
{rows}

Compared to the bit with the run that was never killed: all values of the last checkpoint (weights, momentum copies,
averaged weights, optimizer, scaler, schedules, states of hooks and modules, gradients that are being accumulated,
histories of what is logged; but no clocks and folders), the losses of every iteration and the metrics of every
validation as they were logged, and the names of the checkpoints that are left. A checkpoint counts as lost if the
newest whole one after a kill is older than before, or the newest best one.
{stock}"""

STOCK_PAGE = """
The same kills with the stock `CheckpointHook` (first configuration, {kills} kills): {lost} of {runs} runs lost their
only or their best checkpoint, {broken} could not be resumed or ended otherwise.
"""


def row(name, soak):
    counts = [soak.phases[phase] for phase in ('forward', 'save', 'write', 'validation', 'start')]
    cells = [name, soak.kills, *counts, soak.lost, len(soak.differences), soak.values]
    return f'| {" | ".join(map(str, cells))} |'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=3, help='of each configuration')
    parser.add_argument('--stock-kills', type=int, default=20, help='with the stock hook; 0 leaves that out')
    parser.add_argument('--only', nargs='+', default=[''], help='configurations whose name contains one of these')
    parser.add_argument('--epochs', type=int, default=4)
    parser.add_argument('--batches', type=int, default=4, help='of an epoch')
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'results' / 'soak.md')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'soak')
    args = parser.parse_args()
    shutil.rmtree(args.work_dir, ignore_errors=True)
    args.work_dir.mkdir(parents=True)
    import_everything()
    begun, soaks = time.monotonic(), {}
    for i, one in enumerate(CONFIGURATIONS):
        if any(part in one.name for part in args.only):
            arguments = one.write(args.work_dir, ROOT / 'data', args.epochs, args.batches)
            soaks[one.name] = soak = Soak(args.work_dir / str(i), arguments, args.seed + 2 * i)(args.kills)
            print(row(one.name, soak), flush=True)
    stock = ''
    if args.stock_kills:
        arguments = CONFIGURATIONS[0].write(args.work_dir, ROOT / 'data', args.epochs, args.batches)
        control = Soak(args.work_dir / 'stock', arguments, args.seed, stock=True)(args.stock_kills)
        told = dict(kills=control.kills, lost=control.lost, runs=control.runs, broken=len(control.differences))
        stock = STOCK_PAGE.format(**told)
    args.out.write_text(
        PAGE.format(
            arguments=f' ARGS="{" ".join(sys.argv[1:])}"' if sys.argv[1:] else '',
            date=datetime.date.today().isoformat(),
            torch=torch.__version__.split('+')[0],
            count=len(soaks),
            epochs=args.epochs,
            batches=args.batches,
            seconds=time.monotonic() - begun,
            rows='\n'.join(row(name, soak) for name, soak in soaks.items()),
            stock=stock,
        )
    )
    print(args.out.read_text())
    faults = [f'{name}: {fault}' for name, soak in soaks.items() for fault in soak.differences]
    if faults or any(soak.lost for soak in soaks.values()):
        sys.exit('\n'.join(faults) or 'a checkpoint was lost')


if __name__ == '__main__':
    main()
