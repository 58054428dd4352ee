"""Every block's loss over a run, as a picture, from the logs of the run.

    python tools/analysis_tools/plot_losses.py WORK_DIR [--out FILE]

Reads the newest `vis_data/scalars.json`, which mmengine's default visual backend writes.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot as plt

from mmlocal.cli import exit_with_message
from mmlocal.errors import ConfigError


def curves(folder):
    """For each block, and `model` for the model's own loss, pairs of iteration and sum of its losses.

    Raises:
        ConfigError: if there is no log, or none of a training.
    """
    files = sorted(folder.glob('**/vis_data/scalars.json'))
    if not files:
        raise ConfigError(f"no vis_data/scalars.json in '{folder}': give the work directory of a run")
    found = defaultdict(list)
    for line in files[-1].read_text().splitlines():
        entry = json.loads(line)
        if 'loss' not in entry:
            continue
        sums = defaultdict(float)
        for name, value in entry.items():
            block, dot, term = name.partition('.')
            if dot and 'loss' in term and block.startswith('block'):
                sums[block] += value
        for name, value in {**sums, 'model': entry['loss']}.items():
            found[name].append((entry['step'], value))
    if not found:
        raise ConfigError(f"'{files[-1]}' has no losses of a training")
    return found


@exit_with_message
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('work_dir', type=Path)
    parser.add_argument('--out', type=Path, help='losses.png in the work directory if not given')
    args = parser.parse_args()
    figure, axis = plt.subplots(figsize=(9, 5), layout='constrained')
    for name, points in curves(args.work_dir).items():
        label = 'the rest of the model' if name == 'model' else name
        axis.plot(*zip(*points, strict=True), label=label, color='black' if name == 'model' else None)
    axis.set_xlabel('iteration')
    axis.set_ylabel('loss')
    axis.set_yscale('log')
    axis.grid(alpha=0.3)
    axis.legend()
    path = args.out or args.work_dir / 'losses.png'
    figure.savefig(path, dpi=120)
    print(f'written to {path}')


if __name__ == '__main__':
    main()
