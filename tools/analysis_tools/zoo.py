"""Check the hosts' own configs as `tools/train.py` would, end to end: none that its host builds may be refused.

    python tools/analysis_tools/zoo.py mmdet mmseg --every 10

Datasets are not there, so what is said of missing files is left out; everything else is checked as before a training.
What is refused is built by the host itself, too: only what its host builds is a false refusal. The table goes to
docs/results/zoo.md.
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

from mmlocal.errors import ConfigError, reason
from mmlocal.hosts import import_hosts, name_installed_distributions
from mmlocal.planning import machine
from mmlocal.validation import validate
from mmlocal.validation.building import model_builder

HOSTS = ('mmdet', 'mmseg', 'mmpretrain', 'mmagic', 'mmyolo')
OUT = Path(__file__).resolve().parents[2] / 'docs' / 'results' / 'zoo.md'
OUTCOMES = ('accepted', 'refused, as the host does', 'refused', 'traceback', 'no training', 'unreadable')


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('hosts', nargs='*', default=HOSTS, help=f'of {", ".join(HOSTS)}; all of them if not given')
    parser.add_argument('--every', type=int, default=1, help='look at each n-th config')
    parser.add_argument('--out', type=Path, default=OUT)
    return parser.parse_args()


def configs_of(host):
    """The configs that the host's package ships."""
    root = Path(find_spec(host).submodule_search_locations[0]) / '.mim' / 'configs'
    return [path for path in sorted(root.rglob('*.py')) if '_base_' not in path.parts]


def check(path):
    """What becomes of a config, and what is said."""
    try:
        cfg = Config.fromfile(path)
        if not cfg.get('model') or not cfg.get('train_dataloader'):
            return 'no training', ''
        import_hosts(cfg)
    except Exception as error:  # a config may raise anything
        return 'unreadable', reason(error)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        try:
            validate(cfg)
        except ConfigError as error:
            faults = [fault for fault in error.faults if 'does not exist' not in fault]
            return (outcome_of(cfg, faults), faults[0]) if faults else ('accepted', '')
        except Exception as error:
            return 'traceback', reason(error)
    return 'accepted', ''


def outcome_of(cfg, faults):
    """Whether the host refuses, too: its model is built, or what is missing here has to be installed first."""
    if all('needs a GPU' in fault or 'pip install' in fault for fault in faults):
        return 'refused, as the host does'
    try:
        model_builder(cfg, 'cpu')()
    except Exception:
        return 'refused, as the host does'
    return 'refused'


def quietly(path):
    """`check` without what hosts print, and its seconds."""
    started = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return *check(path), time.monotonic() - started


def page(found, every):
    """The table, then what was refused or ended in a traceback."""
    lines = [
        '# Configs of the hosts, checked end to end',
        '',
        f'`python tools/analysis_tools/zoo.py --every {every}`, {datetime.date.today().isoformat()}, {machine()}.',
        'Each config is checked as before a training, without its data. "As the host does": the host cannot build it',
        'here either (a package or a GPU is missing).',
        '',
        f'| host | configs | {" | ".join(OUTCOMES)} | slowest, s |',
        f'|---|---|{"---|" * len(OUTCOMES)}---|',
    ]
    for host, rows in found.items():
        count = Counter(outcome for _, outcome, _, _ in rows)
        cells = [str(count[outcome]) for outcome in OUTCOMES]
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
            outcome, said, seconds = quietly(path)
            rows.append((path.relative_to(root).as_posix(), outcome, said.replace('\n', ' ')[:200], seconds))
        found[host] = rows
        print(host, dict(Counter(outcome for _, outcome, _, _ in rows)), flush=True)
    args.out.write_text(page(found, args.every), encoding='utf-8')


if __name__ == '__main__':
    main()
