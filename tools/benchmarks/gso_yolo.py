"""GSO-YOLO beside plain YOLOv8: size and arithmetic, an ablation on the mini set, and inference time.

    python tools/benchmarks/gso_yolo.py

writes docs/results/gso_yolo.md. What is trained is kept in work_dirs/gso_yolo and not trained again; `--variants` and
`--seeds` train some, and write nothing.
"""

import argparse
import copy
import logging
import platform
import statistics
import time
from pathlib import Path

import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from runs import ROOT, results, train_once

from mmlocal.cli import exit_with_message
from mmlocal.hosts import import_hosts, name_installed_distributions
from mmlocal.registry import MODELS

OUT = ROOT / 'docs/results/gso_yolo.md'
WORK = Path('work_dirs/gso_yolo')
SIDE = 640
PLAIN, GSO = 'configs/e2e/yolov8_n_mini-coco.py', 'configs/gso_yolo/gso-yolo_n_mini-coco.py'
MODULES = 'model.backbone.type=mmlocal.GSOYOLOCSPDarknet'
VARIANTS = {
    'plain': (PLAIN,),
    'GOM': (PLAIN, MODULES, 'model.backbone.scm=None'),
    'SCM': (PLAIN, MODULES, 'model.backbone.gom=None'),
    'AIoU': (GSO, 'model.backbone.gom=None', 'model.backbone.scm=None'),
    'all': (GSO,),
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--variants', nargs='+', default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--sizes', nargs='+', default=list('nsmlx'), choices=list('nsmlx'))
    parser.add_argument('--rounds', type=int, default=5, help='timed forwards of each model')
    parser.add_argument('--out', type=Path, default=OUT)
    return parser.parse_args()


def build(path):
    """The detector of a config from random weights, to predict with."""
    cfg = Config.fromfile(ROOT / path)
    import_hosts(cfg)
    settings = copy.deepcopy(cfg.model)
    settings.backbone.init_cfg = None
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(settings).eval()


def pair(size):
    return build(f'configs/e2e/yolov8_{size}_coco.py'), build(f'configs/gso_yolo/gso-yolo_{size}_coco.py')


def complexity(model):
    """Millions of parameters, and GFLOPs of one image: two for each multiplication with its addition."""
    found = get_model_complexity_info(model, inputs=torch.zeros(1, 3, SIDE, SIDE), show_table=False, show_arch=False)
    trained = sum(p.numel() for p in model.parameters())
    return trained / 1e6, 2 * found['flops'] / 1e9


def seconds(models, rounds):
    """Medians of a forward (backbone, neck, head) of one image; the models take turns."""
    image, times = torch.zeros(1, 3, SIDE, SIDE), [[] for _ in models]
    with torch.inference_mode():
        for i in range(rounds + 1):
            for model, found in zip(models, times, strict=True):
                started = time.perf_counter()
                model(image, mode='tensor')
                if i:
                    found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in times]


def size_row(size, rounds):
    models = pair(size)
    (params, flops), (gso_params, gso_flops) = map(complexity, models)
    plain, gso = seconds(models, rounds)
    cells = [f'YOLOv8-{size.upper()}', f'{params:.2f}', f'{gso_params:.2f}', f'{gso_params / params:.2f}']
    cells += [f'{flops:.1f}', f'{gso_flops:.1f}', f'{gso_flops / flops:.2f}']
    return table_row([*cells, f'{1000 * plain:.0f}', f'{1000 * gso:.0f}', f'{gso / plain:.2f}'])


def table_row(cells):
    return '| ' + ' | '.join(map(str, cells)) + ' |'


def work_dir(variant, seed):
    return WORK / f'{variant}-{seed}'


def train(variant, seed):
    config, *options = VARIANTS[variant]
    options = ['--cfg-options', f'randomness.seed={seed}', *options]
    train_once(config, work_dir(variant, seed), *options, prefix=f'{variant} {seed}: ')


def variant_rows(seeds):
    def scores(variant, metric):
        return [results(work_dir(variant, seed), metric)[0] for seed in seeds]

    baseline = scores('plain', 'coco/bbox_mAP')
    for variant in VARIANTS:
        found, at_50 = scores(variant, 'coco/bbox_mAP'), scores(variant, 'coco/bbox_mAP_50')
        differences = [mine - plain for mine, plain in zip(found, baseline, strict=True)]
        step = statistics.median(results(work_dir(variant, seed), 'coco/bbox_mAP')[2] for seed in seeds)
        cells = [variant, ' / '.join(f'{score:.3f}' for score in found), spread(found), spread(at_50)]
        yield table_row([*cells, '' if variant == 'plain' else spread(differences, '+'), f'{step:.3f}'])


def spread(values, sign=''):
    return f'{statistics.mean(values):{sign}.3f} ± {statistics.stdev(values):.3f}'


def report(args):
    machine = f'2 cores, CPU ({platform.machine()}), torch {torch.__version__}'
    threads = torch.get_num_threads()
    return [
        '# GSO-YOLO beside plain YOLOv8',
        '',
        f'`python tools/benchmarks/gso_yolo.py`, {time.strftime("%Y-%m-%d")}, {machine}.',
        '',
        '## Size, arithmetic, inference',
        '',
        f'80 classes, one image of {SIDE}x{SIDE}. Parameters in millions; GFLOPs with two operations for a',
        'multiplication with its addition; milliseconds of backbone, neck and head in evaluation mode, float32,',
        f'threads: {threads}, medians of {args.rounds}, the two models in turns, in one run.',
        '',
        '| | parameters, plain | GSO | ratio | GFLOPs, plain | GSO | ratio | ms, plain | GSO | ratio |',
        '|' + ' --- |' * 10,
        *(size_row(size, args.rounds) for size in args.sizes),
        '',
        '## Ablation on the mini set',
        '',
        'YOLOv8-N at 128x128 on mini COCO, 16 epochs, batch 8, the mini schedule for all; seeds',
        f'{", ".join(map(str, args.seeds))}: bbox mAP of the last validation (100 images), nothing selected or tuned;',
        'then means and standard deviations, the difference to plain YOLOv8 with the same seed, and the median seconds',
        'of an iteration (with other work beside: rough).',
        '',
        '| | mAP, each seed | mAP | mAP50 | mAP less plain | s per iteration |',
        '|' + ' --- |' * 6,
        *variant_rows(args.seeds),
        '',
    ]


@exit_with_message
def main():
    args = parse_args()
    for variant in args.variants:
        for seed in args.seeds:
            train(variant, seed)
    if len(args.variants) < len(VARIANTS) or len(args.seeds) < 2:
        return
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    name_installed_distributions()
    text = '\n'.join(report(args))
    print(text)
    args.out.write_text(text)


if __name__ == '__main__':
    main()
