"""Check the hosts' own configs as `tools/train.py` would: end to end, or made local by a method.

    python tools/analysis_tools/zoo.py mmdet mmseg --every 10
    python tools/analysis_tools/zoo.py mmdet --every 10 --local man --blocks 4

Datasets are not there, so what is said of missing files is left out; everything else is checked as before a training.
What is refused end to end is built by the host itself, too: only what its host builds is a false refusal. What is
accepted as local takes a training step on generated images, without numbers where it can; where it fails, the host's
own model takes one. The table goes to docs/results/zoo.md.
"""

import argparse
import contextlib
import datetime
import io
import logging
import time
import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope
from rich.progress import track

from mmlocal.config import localize, make_local
from mmlocal.errors import ConfigError, reason
from mmlocal.hosts import import_hosts, name_installed_distributions
from mmlocal.memory import fake_step
from mmlocal.planning import machine
from mmlocal.planning.training_step import TrainingStep
from mmlocal.validation import validate
from mmlocal.validation.building import model_builder

HOSTS = ('mmdet', 'mmseg', 'mmpretrain', 'mmagic', 'mmyolo')
OUT = Path(__file__).resolve().parents[2] / 'docs' / 'results' / 'zoo.md'
OUTCOMES = ('accepted', 'refused, as the host does', 'refused', 'traceback', 'no training', 'unreadable')
OF_LOCAL = ('trains', 'refused', "fails, as the host's own step", 'fails in the step', *OUTCOMES[3:])
SIDES = {'mmagic': 32, 'mmpretrain': 224}  # of the images of a step, where a network has no `img_size`
SIDE, SMALL_SIDE, IMAGES = 256, 128, 2


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('hosts', nargs='*', default=HOSTS, help=f'of {", ".join(HOSTS)}; all of them if not given')
    parser.add_argument('--local', metavar='METHOD', help='made local by this method, with a training step')
    parser.add_argument('--blocks', type=int, default=4, help='of a local network')
    parser.add_argument('--every', type=int, default=1, help='look at each n-th config')
    parser.add_argument('--out', type=Path, default=OUT)
    return parser.parse_args()


def configs_of(host):
    """The configs that the host's package ships."""
    root = Path(find_spec(host).submodule_search_locations[0]) / '.mim' / 'configs'
    return [path for path in sorted(root.rglob('*.py')) if '_base_' not in path.parts]


def check(path, method, blocks):
    """What becomes of a config, and what is said."""
    try:
        cfg = Config.fromfile(path)
        if not cfg.get('model') or not cfg.get('train_dataloader'):
            return 'no training', ''
        import_hosts(cfg)
    except Exception as error:  # a config may raise anything
        return 'unreadable', reason(error)
    try:
        local = make_local(cfg, method, blocks) if method else cfg
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
            faults = faults_of(local)
            if faults:
                return ('refused' if method else outcome_of(cfg, faults)), faults[0]
            return step(localize(local), cfg) if method else ('accepted', '')
    except ConfigError as error:
        return 'refused', error.faults[0]
    except Exception as error:
        return 'traceback', reason(error)


def faults_of(cfg):
    """What is found before a training, without missing files."""
    try:
        validate(cfg)
    except ConfigError as error:
        return [fault for fault in error.faults if 'does not exist' not in fault]
    return []


def step(local, stock):
    """Whether a local model takes a training step, and where not, whether its host's own does."""
    said = fault_of_step(local)
    if not said:
        return 'trains', ''
    return ("fails, as the host's own step" if fault_of_step(stock) else 'fails in the step'), said


def fault_of_step(cfg):
    """What a training step raises without numbers and with them, which some losses need (sets that are matched)."""
    network = cfg.model.get('backbone') or cfg.model.get('generator')
    own = network.get('img_size')
    side = max(own) if isinstance(own, (list, tuple)) else own or SIDES.get(cfg.get('default_scope'), SIDE)
    try:
        with fake_step() as fake:
            TrainingStep(cfg, (3, side, side), IMAGES, fake=fake)
        return ''
    except Exception:  # also of what has no form without numbers
        pass
    side = side if own else min(side, SMALL_SIDE)
    try:
        TrainingStep(cfg, (3, side, side), IMAGES)
    except Exception as error:
        return reason(error)
    return ''


def outcome_of(cfg, faults):
    """Whether the host refuses, too: its model is built, or what is missing here has to be installed first."""
    if all('needs a GPU' in fault or 'pip install' in fault for fault in faults):
        return 'refused, as the host does'
    try:
        model_builder(cfg, 'cpu')()
    except Exception:
        return 'refused, as the host does'
    return 'refused'


def quietly(path, method, blocks):
    """`check` without what hosts print, and its seconds."""
    started = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return *check(path, method, blocks), time.monotonic() - started


def page(found, args):
    """The table, then what was refused or ended in a traceback."""
    outcomes = OF_LOCAL if args.local else OUTCOMES
    how = f' --local {args.local} --blocks {args.blocks}' if args.local else ''
    lines = [
        f'# Configs of the hosts, {f"made local by {args.local}" if args.local else "checked end to end"}',
        '',
        f'`python tools/analysis_tools/zoo.py --every {args.every}{how}`, {datetime.date.today()}, {machine()}.',
        'Each config is checked as before a training, without its data. "As the host does": the host cannot build it',
        'here either (a package or a GPU is missing).',
        '',
        f'| host | configs | {" | ".join(outcomes)} | slowest, s |',
        f'|---|---|{"---|" * len(outcomes)}---|',
    ]
    for host, rows in found.items():
        count = Counter(outcome for _, outcome, _, _ in rows)
        cells = [str(count[outcome]) for outcome in outcomes]
        lines.append(f'| {host} | {len(rows)} | {" | ".join(cells)} | {max(row[3] for row in rows):.1f} |')
    for host, rows in found.items():
        told = [f'- `{host}::{name}`: {outcome}: {said}' for name, outcome, said, _ in rows if said]
        lines += ['', f'## {host}', '', *(told or ['nothing is refused.'])]
    return '\n'.join(lines) + '\n'


def main():
    args = parse_args()
    warnings.filterwarnings('ignore')
    name_installed_distributions()
    logging.disable(logging.CRITICAL)
    found = {}
    for host in args.hosts:
        root, rows = Path(find_spec(host).submodule_search_locations[0]) / '.mim' / 'configs', []
        for path in track(configs_of(host)[:: args.every], description=host):
            outcome, said, seconds = quietly(path, args.local, args.blocks)
            rows.append((path.relative_to(root).as_posix(), outcome, said.replace('\n', ' ')[:200], seconds))
        found[host] = rows
        print(host, dict(Counter(outcome for _, outcome, _, _ in rows)), flush=True)
    args.out.write_text(page(found, args), encoding='utf-8')


if __name__ == '__main__':
    main()
