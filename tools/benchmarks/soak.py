"""Kill a run at random moments, resume it each time, and compare it with one that was never killed: `make bench-soak`.

Writes docs/results/soak.md. Every attempt is tools/train.py with --resume, in a process of its own that gets SIGKILL
together with its data loader's workers. What one attempt knows of those before it is in the work directory. Attempts
are forked from this process, which has imported everything and trained nothing: importing would be most of their time.
"""

import argparse
import contextlib
import datetime
import importlib.util
import io
import json
import mmap
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs' / 'man' / 'resnet32_man_mini-digits.py'
DATA = ROOT / 'data' / 'mini-digits'
PHASES = ('start', 'forward', 'save', 'write', 'validation')
# What a clock has a say in.
CLOCKS = ('time', 'data_time', 'eta', 'peak_mib')
STOCK = 'CheckpointHook'
ANYWHERE = 'anywhere'
AIMS = (*PHASES[1:], ANYWHERE)


def options(epochs, batches, data):
    """A few seconds of training; one checkpoint is kept, and the best, which are the hardest to keep safe."""
    loaders = {
        f'{split}_dataloader.{key}': value
        for split, samples in (('train', 8 * batches), ('val', 16))
        for key, value in {'dataset.indices': samples, 'dataset.data_root': data}.items()
    }
    return {
        **loaders,
        'train_dataloader.batch_size': 8,
        'val_dataloader.batch_size': 4,
        'test_dataloader.dataset.data_root': data,
        'train_cfg.max_epochs': epochs,
        'train_cfg.val_interval': 1,
        'param_scheduler.0.end': batches,
        'param_scheduler.1.T_max': epochs,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.checkpoint.max_keep_ckpts': 1,
        'default_hooks.checkpoint.save_best': 'auto',
        'default_hooks.logger.interval': 1,
    }


class Attempt:
    """One start of the training tool in a forked process, which tells its phase through shared memory."""

    def __init__(self, work_dir, settings, stock=False):
        self._phase = mmap.mmap(-1, 2)
        self._process = multiprocessing.get_context('fork').Process(
            target=self._train, args=(work_dir, settings, stock)
        )
        self._process.start()

    @property
    def phase(self):
        return PHASES[self._phase[0]]

    @property
    def visits(self):
        """Phases that have begun; 256 are none."""
        return self._phase[1]

    @property
    def alive(self):
        return self._process.is_alive()

    def kill(self):
        """SIGKILL to the process and its workers; the phase it was in, or `None` if it had ended before."""
        if not self.alive:
            return None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.join()
        return self.phase if self._process.exitcode == -signal.SIGKILL else None

    def wait(self):
        self._process.join()
        return self._process.exitcode

    def _train(self, work_dir, settings, stock):
        os.setsid()
        folder = Path(work_dir).with_suffix('.log')
        with folder.open('a') as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        sys.argv = ['train.py', str(CONFIG), '--work-dir', str(work_dir), '--resume', '--cfg-options']
        sys.argv += [f'{key}={value}' for key, value in settings.items()]
        tool = load_tool('train')
        if stock:
            tool.save_safely = lambda cfg: cfg.default_hooks.checkpoint.update(type=STOCK)
        self._watch()
        tool.main()

    def _watch(self):
        from mmengine.fileio import LocalBackend
        from mmengine.hooks import CheckpointHook
        from mmengine.runner import ValLoop

        from mmlocal.engine import ResumableEpochLoop, SafeCheckpointHook
        from mmlocal.engine.resume.durable import DurableBackend

        self._tell(ResumableEpochLoop, 'run_iter', 'forward')
        self._tell(ValLoop, 'run', 'validation')
        for kind in (LocalBackend, DurableBackend):
            self._tell(kind, 'put', 'write')
        for kind in (CheckpointHook, SafeCheckpointHook):
            for name in ('_save_checkpoint_with_step', '_save_best_checkpoint'):
                self._tell(kind, name, 'save')

    def _tell(self, owner, name, phase):
        inner = getattr(owner, name)

        def told(*args, **kwargs):
            before = self._phase[0]
            self._phase[0], self._phase[1] = PHASES.index(phase), (self._phase[1] + 1) % 256
            try:
                return inner(*args, **kwargs)
            finally:
                self._phase[0] = before

        setattr(owner, name, told)


def load_tool(name):
    spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def import_everything():
    """What an attempt would import, so that it need not."""
    torch.set_num_threads(1)
    from mmlocal.cli import load_config
    from mmlocal.hosts import import_hosts, name_installed_distributions

    with contextlib.redirect_stdout(io.StringIO()):
        name_installed_distributions()
        import_hosts(
            load_config(
                argparse.Namespace(config=str(CONFIG), cfg_options={}, launcher='none', local_rank=0, work_dir='none')
            )
        )
        import mmpretrain.datasets
        import mmpretrain.evaluation
        import mmpretrain.models
        import mmpretrain.visualization  # noqa: F401


def phases_of(attempt):
    """Follow an attempt to its end: the phase that begins, each time one does."""
    before = None
    while attempt.alive:
        now = attempt.phase, attempt.visits
        if now != before:
            yield now[0]
        before = now
        time.sleep(0.0003)


def durations(attempt):
    """Mean seconds of each phase, and those of the whole run."""
    begun, seconds, counts, phase = time.monotonic(), Counter(), Counter(), PHASES[0]
    last = begun
    for following in phases_of(attempt):
        now = time.monotonic()
        seconds[phase] += now - last
        counts[following] += 1
        phase, last = following, now
    return {name: seconds[name] / max(1, counts[name]) for name in PHASES} | {ANYWHERE: last - begun}


def kill_somewhere(attempt, draw, lasts, wanted):
    """Kill at a random moment of a phase, or of the whole time; not of the phase's first occurrence always."""
    occurrence, moment = draw.choice([1, 1, 2, 3]), draw.uniform(0, lasts[wanted])
    if wanted == ANYWHERE:
        time.sleep(moment)
        return attempt.kill()
    for phase in phases_of(attempt):
        occurrence -= phase == wanted
        if not occurrence:
            time.sleep(moment)
            break
    return attempt.kill()


def newest_whole(work_dir):
    """Iterations of the newest checkpoint that can be read to its end, and of the newest best one; 0 without.

    By no code of mmlocal's.
    """

    def newest(names):
        found = [0]
        for path in work_dir.glob(names):
            if zipfile.is_zipfile(path) and zipfile.ZipFile(path).testzip() is None:
                found.append(torch.load(path, weights_only=False)['meta']['iter'])
        return max(found)

    return newest('epoch_*.pth'), newest('best_*.pth')


def loose_ends(work_dir):
    """What a kill in the midst of saving leaves to see."""
    last = work_dir / 'last_checkpoint'
    kept, best = list(work_dir.glob('epoch_*.pth')), list(work_dir.glob('best_*.pth'))
    return {
        'a file half written': any(work_dir.glob('.*.unfinished')),
        'a new checkpoint that last_checkpoint does not name': last.exists()
        and any(path.stat().st_mtime_ns > last.stat().st_mtime_ns for path in kept),
        'an old checkpoint not deleted yet': len(kept) > 1 or len(best) > 1,
    }


class Soak:
    """Kills runs until there were `kills`; each run that ends is compared with the one that was never killed."""

    def __init__(self, folder, settings, seed, stock=False):
        self.folder, self.settings, self.stock = folder, settings, stock
        self.draw = random.Random(seed)
        self.phases, self.ends = Counter(), Counter()
        self.runs = self.lost = self.values = 0
        self.differences = []

    @property
    def kills(self):
        return sum(self.phases.values())

    def __call__(self, kills):
        reference = self.folder / 'reference'
        attempt = Attempt(reference, self.settings)
        self.lasts = durations(attempt)
        if attempt.wait():
            sys.exit(f'the run without kills failed:\n{reference.with_suffix(".log").read_text()[-3000:]}')
        expected = result(reference)
        self.values = len(expected)
        while self.kills < kills:
            work_dir = self.folder / f'run{self.runs}'
            self.runs += 1
            if self._ends(work_dir, kills):
                self.differences += [f'{work_dir.name}: {name}' for name in unequal(result(work_dir), expected)]
                shutil.rmtree(work_dir)
        return self

    def _ends(self, work_dir, kills):
        """Kill and resume a run until it ends by itself; whether it does."""
        reached = (0, 0)
        while True:
            attempt = Attempt(work_dir, self.settings, self.stock)
            # In turn, as writing, the shortest, would be met too rarely.
            wanted = AIMS[self.kills % len(AIMS)]
            phase = kill_somewhere(attempt, self.draw, self.lasts, wanted) if self.kills < kills else None
            if phase is None and attempt.wait() == 0:
                return True
            if phase is None:
                self.differences.append(f'{work_dir.name} could not be resumed')
                return False
            self.phases[phase] += 1
            self.ends.update(name for name, seen in loose_ends(work_dir).items() if seen)
            whole = newest_whole(work_dir)
            if any(now < before for now, before in zip(whole, reached, strict=True)):
                self.lost += 1
                return False
            reached = whole


def result(work_dir):
    """All that a run leaves: the checkpoint of its end, the best one's name, and what was logged, by name."""
    checkpoint = torch.load((work_dir / 'last_checkpoint').read_text(), weights_only=False)
    found = {f'weights {name}': value for name, value in checkpoint['state_dict'].items()}
    for i, state in checkpoint['optimizer']['state'].items():
        found |= {f'optimizer {i} {name}': value for name, value in state.items()}
    groups = checkpoint['optimizer']['param_groups']
    found |= {f'optimizer group {i} {name}': value for i, g in enumerate(groups) for name, value in g.items()}
    found |= {f'schedule {i}': state['last_step'] for i, state in enumerate(checkpoint['param_schedulers'])}
    found['files'] = sorted(path.name for path in work_dir.glob('*.pth'))
    return found | logged(work_dir)


def logged(work_dir):
    """Every value that was logged, by step and name; a set, as what was repeated has to be the same."""
    found = {}
    for path in work_dir.glob('*/vis_data/scalars.json'):
        for line in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # the line that was being written
                entry = json.loads(line)
                place = 'train' if 'loss' in entry else 'validation'
                for name, value in entry.items():
                    if name not in CLOCKS:
                        found.setdefault(f'{place} {entry["step"]} {name}', set()).add(value)
    return found


def unequal(found, expected):
    """Names of what differs in a bit."""

    def same(name):
        a, b = found.get(name), expected.get(name)
        return torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b

    return sorted(name for name in found.keys() | expected.keys() if not same(name))


PAGE = """# Killed and resumed

`make bench-soak{arguments}` on {date}, 2 cores, CPU, torch {torch}:
`{config}`, {epochs} epochs of {batches} batches of 8, validated and saved after each;
one checkpoint is kept, and the best. Runs were killed with SIGKILL, with their data loader's workers, and resumed with
`--resume` each time: in turn at random moments of training a batch, of saving, of writing, of validation, and of the
whole time. The table says where they were then. {seconds:.0f} seconds in all.

| | |
|---|---|
| kills | {kills} |
| while training a batch | {forward} |
| while saving, before or after a file is written | {save} |
| while writing a file | {write} |
| in validation | {validation} |
| at start, or in between | {start} |
| runs that were killed and ended | {runs} |
| checkpoints lost | {lost} |
| values that differ | {different} |

Compared to the bit with the run that was never killed, for every run that ended: weights and momentum copies, the
optimizer's state, the schedules, the losses of every iteration and the metrics of every validation as they were logged,
and the names of the checkpoints that are left ({values} values). A checkpoint counts as lost if the newest whole one
after a kill is older than before, or the newest best one.

Seen in the work directory after a kill: {ends}.
{stock}"""

STOCK_PAGE = """
The same kills with the stock `CheckpointHook`: {lost} of {runs} runs lost their only or their best checkpoint
({kills} kills).
"""


def write_page(path, soak, stock, args, seconds):
    counts = {phase: soak.phases[phase] for phase in PHASES}
    ends = ', '.join(f'{name} ({count})' for name, count in sorted(soak.ends.items())) or 'nothing'
    of_stock = ''
    if stock is not None:
        of_stock = STOCK_PAGE.format(lost=stock.lost, runs=stock.runs, kills=sum(stock.phases.values()))
    path.write_text(
        PAGE.format(
            **counts,
            arguments=f' ARGS="{" ".join(sys.argv[1:])}"' if sys.argv[1:] else '',
            date=datetime.date.today().isoformat(),
            torch=torch.__version__.split('+')[0],
            config=CONFIG.relative_to(ROOT),
            epochs=args.epochs,
            batches=args.batches,
            seconds=seconds,
            kills=sum(counts.values()),
            runs=soak.runs,
            lost=soak.lost,
            different=len(soak.differences),
            values=soak.values,
            ends=ends,
            stock=of_stock,
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=50)
    parser.add_argument('--epochs', type=int, default=8)
    parser.add_argument('--batches', type=int, default=4, help='of an epoch')
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'results' / 'soak.md')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'soak')
    args = parser.parse_args()
    if not DATA.exists():
        sys.exit(f'{DATA} is missing: make data')
    shutil.rmtree(args.work_dir, ignore_errors=True)
    args.work_dir.mkdir(parents=True)
    import_everything()
    settings = options(args.epochs, args.batches, DATA)
    begun = time.monotonic()
    soak = Soak(args.work_dir, settings, args.seed)(args.kills)
    seconds = time.monotonic() - begun
    (args.work_dir / 'stock').mkdir()
    stock = Soak(args.work_dir / 'stock', settings, args.seed, stock=True)(args.kills)
    write_page(args.out, soak, stock, args, seconds)
    print(args.out.read_text())
    if soak.lost or soak.differences:
        sys.exit('\n'.join(soak.differences) or 'a checkpoint was lost')


if __name__ == '__main__':
    main()
