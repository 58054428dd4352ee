"""Centred kernel alignment (CKA) of the units of two trained networks, on images of the test set.

    python tools/analysis_tools/compare_features.py CONFIG CHECKPOINT CONFIG CHECKPOINT [--out FOLDER]

Linear CKA of pooled outputs (arXiv 1905.00414): 1 where one is a rotation and scaling of the other, 0 where they have
nothing in common. Writes a picture of all pairs of units.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import torch
from matplotlib import pyplot as plt
from unit_features import load, out_folder, pooled

from mmlocal.cli import exit_with_message, read_config
from mmlocal.commands.arguments import add_config_arguments


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ('config', 'checkpoint', 'other_config', 'other_checkpoint'):
        parser.add_argument(name)
    parser.add_argument('--images', type=int, default=1000)
    parser.add_argument('--out', type=Path, help="folder of cka.png; the first checkpoint's if not given")
    add_config_arguments(parser)
    return parser.parse_args()


def linear_cka(a, b):
    """`|A'B|² / (|A'A| |B'B|)` of centred features (N, C) and (N, D), Frobenius norms.

    Example:
        >>> x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
        >>> round(linear_cka(x, -2 * x.flip(1)).item(), 4)
        1.0
    """
    a, b = (x.double() - x.double().mean(0) for x in (a, b))
    return (a.T @ b).square().sum() / ((a.T @ a).norm() * (b.T @ b).norm())


@exit_with_message
def main():
    args = parse_args()
    sides = [(args.config, args.checkpoint), (args.other_config, args.other_checkpoint)]
    features = []
    for config, checkpoint in sides:
        args.config = config
        with tempfile.TemporaryDirectory() as work_dir:
            runner = load(read_config(args), checkpoint, work_dir)
            features.append(pooled(runner, runner.test_dataloader, args.images)[0])
    one, other = features
    matrix = torch.tensor([[linear_cka(a, b) for b in other.values()] for a in one.values()])
    for name in one:
        if name in other:
            print(f'{name:<16}{matrix[list(one).index(name), list(other).index(name)]:.3f}')
    figure, axis = plt.subplots(figsize=(7, 6), layout='constrained')
    image = axis.imshow(matrix, vmin=0, vmax=1, origin='lower')
    axis.set_xticks(range(len(other)), list(other), rotation=90)
    axis.set_yticks(range(len(one)), list(one))
    axis.set_xlabel(Path(sides[1][0]).stem)
    axis.set_ylabel(Path(sides[0][0]).stem)
    figure.colorbar(image, label='linear CKA')
    path = out_folder(args, sides[0][1]) / 'cka.png'
    figure.savefig(path, dpi=120)
    print(f'written to {path}')


if __name__ == '__main__':
    main()
