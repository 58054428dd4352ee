"""Super-resolution beside bicubic interpolation: the config's own metrics of both, and pictures.

    python tools/analysis_tools/compare_restoration.py CONFIG CHECKPOINT [--out FOLDER]

Every picture shows input, bicubic interpolation, output and ground truth, whole and enlarged where the
output is better than bicubic interpolation by most.
"""

import argparse
from pathlib import Path

import cv2
import matplotlib

matplotlib.use('Agg')
import numpy as np
import torch
from matplotlib import pyplot as plt
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table

from mmlocal.cli import exit_with_message, prepare, read_config
from mmlocal.commands.arguments import add_config_arguments
from mmlocal.errors import ConfigError

ZOOM = 48


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='file, or one of a host: mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py')
    parser.add_argument('checkpoint', help='checkpoint, of a run or published')
    parser.add_argument('--out', type=Path, help='folder for the pictures; pictures in the work directory if not given')
    parser.add_argument('--images', type=int, default=8, help='pictures to draw, of the first images (default: 8)')
    add_config_arguments(parser)
    return parser.parse_args()


def first_test_set(loop):
    """Loader and metrics of a test loop's only set, or of the first of several."""
    evaluator = loop.evaluators[0] if hasattr(loop, 'evaluators') else loop.evaluator
    loader = loop.dataloaders[0] if hasattr(loop, 'dataloaders') else loop.dataloader
    return loader, [metric for metric in evaluator.metrics if hasattr(metric, 'process_image')]


def restored(model, loader):
    """Input, output and ground truth of every test image, (H, W, 3), from 0 to 255."""
    for batch in loader:
        with torch.no_grad():
            samples = model.test_step(batch)
        for sample in samples:
            yield (
                Path(sample.metainfo['gt_path']).name,
                *(to_image(tensor) for tensor in (sample.input, sample.output.pred_img, sample.gt_img)),
            )


def to_image(tensor):
    return tensor.detach().cpu().float().numpy().transpose(1, 2, 0).clip(0, 255)


def bicubic(low, like):
    # Not rounded, as the metrics take the network's output.
    return cv2.resize(low, (like.shape[1], like.shape[0]), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def score(metric, target, image):
    """A metric of mmagic for one image; it takes tensors (3, H, W)."""
    gt, pred = (torch.from_numpy(i.transpose(2, 0, 1).copy()).float() for i in (target, image))
    return float(metric.process_image(gt, pred, torch.ones_like(pred)))


def best_place(target, output, interpolated):
    """Corner of the square of `ZOOM` pixels where the output gains most on bicubic interpolation."""
    lost = [(target - image).__pow__(2).sum(2) for image in (interpolated, output)]
    gain = cv2.boxFilter(lost[0] - lost[1], -1, (ZOOM, ZOOM), anchor=(0, 0), normalize=False)
    gain = gain[: max(1, target.shape[0] - ZOOM), : max(1, target.shape[1] - ZOOM)]
    return np.unravel_index(gain.argmax(), gain.shape)


def draw(path, images, scores, corner):
    """Images of one size as a row, and below them what is at `corner`, enlarged."""
    figure, axes = plt.subplots(2, len(images), figsize=(4 * len(images), 8.4), constrained_layout=True)
    top, left = corner
    for column, (title, image) in enumerate(images.items()):
        image = image[..., ::-1].round().astype(np.uint8)  # mmagic hands its images out as BGR
        axes[0, column].imshow(image)
        axes[0, column].set_title(f'{title}\n{scores.get(title, "")}')
        axes[0, column].add_patch(plt.Rectangle((left, top), ZOOM, ZOOM, fill=False, edgecolor='red'))
        axes[1, column].imshow(image[top : top + ZOOM, left : left + ZOOM], interpolation='nearest')
    for axis in axes.flat:
        axis.axis('off')
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def sentence(metrics, values, side):
    return ', '.join(f'{metric.metric} {pair[side]:.4g}' for metric, pair in zip(metrics, values, strict=True))


def show(rows, names):
    table = Table(title='bicubic interpolation / output')
    table.add_column('image')
    for name in names:
        table.add_column(name, justify='right')
    means = np.mean(list(rows.values()), axis=0)
    for image, pairs in [*rows.items(), ('mean', means)]:
        table.add_row(image, *(f'{a:.4g} / {b:.4g}' for a, b in pairs))
    Console(highlight=False).print(table)


@exit_with_message
def main():
    args = parse_args()
    cfg = read_config(args)
    if 'generator' not in cfg.model:
        raise ConfigError('model.generator is missing: only restoration models of mmagic can be compared')
    cfg.load_from, cfg.resume = args.checkpoint, False
    cfg = prepare(cfg, splits=['test'], checkpoint=('checkpoint', args.checkpoint))
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    loader, metrics = first_test_set(runner.test_loop)
    folder, rows = args.out or Path(cfg.work_dir) / 'pictures', {}
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        for number, (name, low, output, target) in enumerate(restored(runner.model.eval(), loader)):
            interpolated = bicubic(low, target)
            both = {'bicubic': interpolated, 'output': output}
            rows[name] = [[score(metric, target, image) for image in both.values()] for metric in metrics]
            if number < args.images:
                # Of one size with the others, its pixels as they are.
                nearest = cv2.resize(low, target.shape[1::-1], interpolation=cv2.INTER_NEAREST)
                images = {'input': nearest, **both, 'ground truth': target}
                told = {title: sentence(metrics, rows[name], i) for i, title in enumerate(both)}
                draw(folder / name, images, told, best_place(target, output, interpolated))
    show(rows, [metric.metric for metric in metrics])
    print(f'pictures: {folder}')


if __name__ == '__main__':
    main()
