"""Linear probes: how well a linear classifier does on the pooled output of every unit of trained networks.

    python tools/analysis_tools/probe_blocks.py CONFIG CHECKPOINT [--against CONFIG CHECKPOINT] [--out FOLDER]

The classifier is scikit-learn's logistic regression on standardised features, fitted on images of the training set
and scored on those of the test set. With `--against` a second network, trained end to end for instance, stands beside.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from unit_features import load, network_and_units, out_folder, pooled

from mmlocal.cli import exit_with_message, read_config
from mmlocal.commands.arguments import add_config_arguments
from mmlocal.errors import ConfigError


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--against', nargs=2, metavar=('CONFIG', 'CHECKPOINT'), help='a second network')
    parser.add_argument('--train-images', type=int, default=2000)
    parser.add_argument('--test-images', type=int, default=1000)
    parser.add_argument('--out', type=Path, help="folder of probes.png; the checkpoint's if not given")
    add_config_arguments(parser)
    return parser.parse_args()


def probe(args, config, checkpoint, work_dir):
    """Accuracy in % by unit, and the block of each unit."""
    args.config = config
    cfg = read_config(args)
    # Training images without augmentation.
    cfg.train_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline
    runner = load(cfg, checkpoint, work_dir)
    train, labels = pooled(runner, runner.build_dataloader(cfg.train_dataloader), args.train_images)
    test, truth = pooled(runner, runner.test_dataloader, args.test_images)
    if labels is None or truth is None:
        raise ConfigError(f'{config}: the images have no labels; probes need a classifier')
    scores = {}
    for name in train:
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        classifier.fit(train[name].numpy(), labels.numpy())
        scores[name] = 100 * classifier.score(test[name].numpy(), truth.numpy())
    return scores, network_and_units(runner.model)[2]


@exit_with_message
def main():
    args = parse_args()
    pairs = [(args.config, args.checkpoint), *([tuple(args.against)] if args.against else [])]
    with tempfile.TemporaryDirectory() as work_dir:
        found = [probe(args, config, checkpoint, work_dir) for config, checkpoint in pairs]
    table = Table(title='accuracy of a linear probe, %')
    for column in ('unit', 'block', *(Path(config).stem for config, _ in pairs)):
        table.add_column(column)
    blocks = found[0][1]
    for name in found[0][0]:
        cells = [f'{scores[name]:.1f}' if name in scores else '' for scores, _ in found]
        table.add_row(name, str(blocks.get(name, '')), *cells)
    Console(highlight=False).print(table)
    figure, axis = plt.subplots(figsize=(9, 4.5), layout='constrained')
    for (config, _), (scores, _) in zip(pairs, found, strict=True):
        axis.plot(list(scores), list(scores.values()), marker='o', label=Path(config).stem)
    ends = [
        name
        for name, following in zip(list(blocks), list(blocks)[1:], strict=False)
        if blocks[name] != blocks[following]
    ]
    for name in ends:
        axis.axvline(name, color='grey', linewidth=0.8, linestyle=':')
    axis.set_ylabel('accuracy of a linear probe, %')
    axis.tick_params(axis='x', rotation=90)
    axis.legend()
    path = out_folder(args, pairs[0][1]) / 'probes.png'
    figure.savefig(path, dpi=120)
    print(f'written to {path}')


if __name__ == '__main__':
    main()
