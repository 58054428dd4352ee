"""Change one value of a config at random, many times: each is refused before training, or trains.

    python tools/analysis_tools/mutate.py --number 1000 --seed 0

Each changed config goes through what tools/train.py does, in a process of its own: the checks, two iterations, a
validation and a checkpoint on the mini sets. What is refused is trained by mmengine's own runner as well, of a local
config the same change of the end-to-end one. A number and a seed make a mutation: `--only 17` repeats one. What was
tried stays in work_dirs/mutations.jsonl, and a run that was stopped goes on. The table goes to
docs/results/mutations.md.
"""

import argparse
import datetime
import json
import logging
import random
import textwrap
from collections import Counter
from pathlib import Path

from rich.progress import track

from mmlocal.benchmarks.mutations import KINDS, draw
from mmlocal.benchmarks.trials import small, stock_trains, try_config, warm_up
from mmlocal.hosts import name_installed_distributions
from mmlocal.planning import machine

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / 'docs' / 'results' / 'mutations.md'
LOG = ROOT / 'work_dirs' / 'mutations.jsonl'
# Each with the config that stock trains.
CONFIGS = {
    'e2e/faster_rcnn_r18_mini-coco': 'e2e/faster_rcnn_r18_mini-coco',
    'man/faster_rcnn_r18_man_mini-coco': 'e2e/faster_rcnn_r18_mini-coco',
    'e2e/deeplabv3_r18_mini-cityscapes': 'e2e/deeplabv3_r18_mini-cityscapes',
    'man/deeplabv3_r18_man_mini-cityscapes': 'e2e/deeplabv3_r18_mini-cityscapes',
    'e2e/resnet32_mini-digits': 'e2e/resnet32_mini-digits',
    'man/resnet32_man_mini-digits': 'e2e/resnet32_mini-digits',
    'e2e/edsr_x2_mini-div2k': 'e2e/edsr_x2_mini-div2k',
    'man/edsr_x2_man_mini-div2k': 'e2e/edsr_x2_mini-div2k',
    'e2e/yolov8_n_mini-coco': 'e2e/yolov8_n_mini-coco',
    'gso_yolo/gso-yolo_n_man_mini-coco': 'gso_yolo/gso-yolo_n_mini-coco',
}
OUTCOMES = ('refused', 'trains', 'refused late', 'traceback', 'hang')


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='*', default=list(CONFIGS), help='of configs/; ten if not given')
    parser.add_argument('--number', type=int, default=1000, help='of mutations, spread over the configs')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', type=int, nargs='*', help='numbers of mutations to try again and show')
    parser.add_argument('--log', type=Path, default=LOG, help='a line of JSON a mutation')
    parser.add_argument('--out', type=Path, default=OUT)
    return parser.parse_args()


class Mutations:
    """The mutations of a seed.

    Args:
        configs: names below configs/.
        seed: of all of them.
    """

    def __init__(self, configs, seed):
        self.configs, self.seed = configs, seed
        names = {*configs, *(CONFIGS.get(name, name) for name in configs)}
        self.bases = {name: small(str(ROOT / 'configs' / f'{name}.py')) for name in sorted(names)}
        for base in self.bases.values():
            warm_up(base)

    def __call__(self, number):
        """Try one: what it is, and what became of it."""
        name = self.configs[number % len(self.configs)]
        mutation = draw(random.Random(f'{self.seed} {number}'), self.bases[name])
        trial = try_config(mutation.apply(self.bases[name]))
        stock = trial.outcome == 'refused' and self._stock_trains(mutation, CONFIGS.get(name, name))
        late = trial.outcome == 'refused' and trial.iterations > 0
        row = dict(number=number, config=name, kind=mutation.kind, mutation=str(mutation), stock_trains=stock)
        return {**row, **vars(trial), 'outcome': 'refused late' if late else trial.outcome}

    def _stock_trains(self, mutation, name):
        try:
            return stock_trains(mutation.apply(self.bases[name]))
        except LookupError:  # what is changed is of the local config alone
            return False


def page(rows, args):
    """The table by kind, then each mutation that is neither refused nor trains, or that stock trains."""
    lines = [
        '# Random mutations of configs',
        '',
        f'`python tools/analysis_tools/mutate.py --number {len(rows)} --seed {args.seed}`, '
        f'{datetime.date.today().isoformat()}, {machine()}.',
        'One value of a config is changed, and the config is checked and trained for two iterations, a validation and',
        f'a checkpoint: {len(args.configs)} configs of the five hosts, local and end to end, on the mini sets.',
        'Refused: exit code 2 and sentences, before an iteration has been trained. Refused late: the same, behind one.',
        '',
        f'| kind | mutations | {" | ".join(OUTCOMES)} | refused, stock trains |',
        f'|---|---|{"---|" * len(OUTCOMES)}---|',
    ]
    for kind in [*KINDS, 'all']:
        of_kind = [row for row in rows if kind in ('all', row['kind'])]
        count = Counter(row['outcome'] for row in of_kind)
        cells = [count[outcome] for outcome in OUTCOMES]
        lines.append(
            f'| {kind} | {len(of_kind)} | {" | ".join(map(str, cells))} | {sum(r["stock_trains"] for r in of_kind)} |'
        )
    refused = sorted(row['seconds'] for row in rows if row['outcome'] == 'refused') or [0.0]
    peak = max((row['peak_bytes'] for row in rows), default=0)
    lines += ['', f'A refusal took {refused[len(refused) // 2]:.1f} s (median), a process {peak >> 20} MiB at most.']
    for title, told in (
        ('Neither refused before training nor trained', [r for r in rows if r['outcome'] not in ('refused', 'trains')]),
        ('Refused, though stock trains it', [r for r in rows if r['stock_trains']]),
    ):
        lines += ['', f'## {title}', '', *(listed(row) for row in told)] if told else ['', f'{title}: none.']
    return '\n'.join(lines) + '\n'


def listed(row):
    """One mutation and what was said."""
    said = ' '.join(row['said'].splitlines()[-1:]).removeprefix('error: ')
    text = f'- {row["number"]}, `{row["config"]}`, `{row["mutation"]}`: {row["outcome"]}: {said[:200]}'
    return textwrap.fill(text, 118, subsequent_indent='  ', break_long_words=False, break_on_hyphens=False)


def main():
    args = parse_args()
    logging.disable(logging.CRITICAL)
    name_installed_distributions()
    mutations = Mutations(args.configs, args.seed)
    if args.only:
        for number in args.only:
            print(json.dumps(mutations(number), indent=1).replace('\\n', '\n'))
        return
    args.log.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in args.log.read_text().splitlines()] if args.log.exists() else []
    known = {row['number'] for row in rows}
    with args.log.open('a') as log:
        for number in track([n for n in range(args.number) if n not in known], description='mutations'):
            rows.append(mutations(number))
            print(json.dumps(rows[-1]), file=log, flush=True)
    args.out.write_text(page(sorted(rows, key=lambda row: row['number'])[: args.number], args), encoding='utf-8')


if __name__ == '__main__':
    main()
