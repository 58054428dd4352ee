"""Run mmengine's own tests with this library's classes in the places of the stock ones: `make bench-mmengine SOURCE=…`.

SOURCE is a checkout of mmengine, as its packages hold no tests. Each test file runs twice, with the stock classes and
with ours; what fails with ours alone has to be one of the differences that `docs/design.md` lists.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / 'docs' / 'results' / 'mmengine_tests.md'
FILES = (
    'tests/test_optim/test_optimizer/test_optimizer_wrapper.py',
    'tests/test_hooks/test_checkpoint_hook.py',
    'tests/test_hooks/test_ema_hook.py',
    'tests/test_runner/test_runner.py',
)
_SHOWN = 160
OUTCOMES = ('passed', 'failed', 'skipped')


def put_in_place():
    """Let every import and every registry of mmengine hand out our classes under the stock names."""
    import mmengine.hooks
    import mmengine.optim
    import mmengine.runner.runner
    from mmengine.registry import HOOKS, LOOPS, OPTIM_WRAPPERS

    from mmlocal import engine

    places = [
        (OPTIM_WRAPPERS, 'OptimWrapper', engine.BlockwiseOptimWrapper),
        (OPTIM_WRAPPERS, 'AmpOptimWrapper', engine.BlockwiseAmpOptimWrapper),
        (HOOKS, 'CheckpointHook', engine.SafeCheckpointHook),
        (LOOPS, 'EpochBasedTrainLoop', engine.ResumableEpochLoop),
        (LOOPS, 'IterBasedTrainLoop', engine.ResumableIterLoop),
    ]
    for registry, name, ours in places:
        stock = registry.module_dict[name]
        registry.register_module(name=name, module=ours, force=True)
        # What users import from; elsewhere in mmengine the stock classes stay, as its `isinstance` has to know all
        # wrappers. The runner makes loops of `by_epoch` without a registry.
        of_runner = [mmengine.runner.runner] if registry is LOOPS else []
        for package in (mmengine.hooks, mmengine.optim, mmengine.runner, *of_runner):
            if getattr(package, name, None) is stock:
                setattr(package, name, ours)


def fork_processes():
    """Let tests in several processes fork them: spawned ones would know nothing of what is put in place here."""
    from mmengine.testing._internal import MultiProcessTestCase

    fork = multiprocessing.get_context('fork').Process
    check = MultiProcessTestCase._check_return_codes
    MultiProcessTestCase._spawn_processes = lambda case: case._start_processes(fork)
    # mmengine reports a test as skipped whose processes all ended well.
    MultiProcessTestCase._check_return_codes = lambda case, elapsed: (
        check(case, elapsed) if any(process.exitcode for process in case.processes) else None
    )


class Outcomes:
    """What became of each test, and the last line of its error."""

    def __init__(self):
        self.found = {}

    def pytest_runtest_logreport(self, report):
        if report.when == 'call' or report.outcome != 'passed':
            crash = getattr(report.longrepr, 'reprcrash', None)
            said = crash.message.splitlines()[0][:_SHOWN] if crash and crash.message else ''
            self.found[report.nodeid.partition('tests/')[2]] = (report.outcome, said)


def run_here(file, ours):
    """The outcomes of one file in this process."""
    fork_processes()
    if ours:
        put_in_place()
    outcomes = Outcomes()
    pytest.main(['-q', '-p', 'no:cacheprovider', '-p', 'no:warnings', file], plugins=[outcomes])
    return outcomes.found


def run(source, file, ours, folder):
    """The outcomes of one file in a process of its own."""
    out = Path(folder) / f'{Path(file).stem}_{"ours" if ours else "stock"}.json'
    command = [sys.executable, str(Path(__file__)), str(source), '--one', file, '--out', str(out)]
    subprocess.run(command + (['--ours'] if ours else []), cwd=source, stdout=subprocess.DEVNULL, check=True)
    return json.loads(out.read_text())


def count(found):
    """`passed, failed, skipped` of a file."""
    return [sum(outcome == wanted for outcome, _ in found.values()) for wanted in OUTCOMES]


def write(rows, differences):
    """The result page."""
    lines = [
        '# Tests of mmengine with classes of mmlocal in the places of the stock ones',
        '',
        'Written by `make bench-mmengine SOURCE=CHECKOUT_OF_MMENGINE`. `OptimWrapper`, `AmpOptimWrapper`,',
        '`CheckpointHook`, `EpochBasedTrainLoop` and `IterBasedTrainLoop` are ours in the second column. What is',
        'changed on purpose, and why, is listed in [the design](../design.md). Tests that need a GPU are skipped here.',
        '',
        '| file | stock: passed, failed, skipped | ours |',
        '|---|---|---|',
    ]
    lines += [f'| `{file}` | {", ".join(map(str, a))} | {", ".join(map(str, b))} |' for file, a, b in rows]
    lines += ['', 'Failed with ours alone:', '']
    lines += [f'- `{name}`: {said}' for name, said in differences] or ['none.']
    RESULT.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', help='a checkout of mmengine')
    parser.add_argument('--folder', default=str(ROOT / 'work_dirs' / 'mmengine_tests'))
    parser.add_argument('--one', help=argparse.SUPPRESS)
    parser.add_argument('--ours', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('--out', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        Path(args.out).write_text(json.dumps(run_here(args.one, args.ours)))
        return
    if not (Path(args.source) / FILES[0]).is_file():
        sys.exit(f'error: {args.source!r} is no checkout of mmengine: it holds no {FILES[0]}')
    Path(args.folder).mkdir(parents=True, exist_ok=True)
    rows, differences = [], []
    for file in FILES:
        stock, ours = (run(args.source, file, ours, args.folder) for ours in (False, True))
        rows.append((Path(file).name, count(stock), count(ours)))
        differences += [
            (name, said.replace('|', r'\|'))
            for name, (outcome, said) in ours.items()
            if outcome == 'failed' and stock.get(name, ('',))[0] != 'failed'
        ]
        print(*rows[-1], flush=True)
    write(rows, differences)
    print(f'{len(differences)} failed with ours alone: {RESULT}')


if __name__ == '__main__':
    main()
