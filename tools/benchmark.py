"""Peak memory and time of a training step of several configs, side by side, on generated images.

    python tools/benchmark.py configs/e2e/faster_rcnn_r50_coco.py configs/man/faster_rcnn_r50_man_coco.py
    python tools/benchmark.py configs/e2e/resnet32_cifar10.py configs/hpff/resnet32_hpff_k16_cifar10.py --shape 3 32 32

Configs of any host. Every round runs each config once, in turn, so that all meet the same state of the machine;
medians are shown, and ratios to the first config. Peaks are live bytes above the weights and what the optimizer keeps.
"""

import argparse
import copy
import platform
import statistics
import time

import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, OPTIM_WRAPPERS, DefaultScope
from rich.console import Console
from rich.table import Table

from mmlocal.config import add_config_arguments, exit_with_message, load_config
from mmlocal.datasets.generated import generated_batch, what_fits
from mmlocal.engine import MomentumHook
from mmlocal.memory import PeakMeter


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='+', help='configs of models; the first is what the others are compared with')
    parser.add_argument('--shape', type=int, nargs=3, default=(3, 512, 512), metavar=('C', 'H', 'W'))
    parser.add_argument('--batch', type=int, default=2, help='images in a batch')
    parser.add_argument('--rounds', type=int, default=3, help='timed steps of each config')
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    add_config_arguments(parser)
    args = parser.parse_args()
    if args.batch < 1 or args.rounds < 1 or min(args.shape) < 1:
        parser.error('--shape, --batch and --rounds must be positive')
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: torch sees no GPU here')
    return args


class Case:
    """A config's model and optimizer, from random weights, and its own batch."""

    def __init__(self, path, args):
        args.config = path
        cfg = load_config(args)
        if 'backbone' in cfg.model:
            cfg.model.backbone.init_cfg = None
        cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            self.model = MODELS.build(cfg.model).train()
        self.model.init_weights()
        if args.device == 'cpu':
            self.model = revert_sync_batchnorm(self.model)
        self.model.to(args.device)
        wrapper = dict(cfg.optim_wrapper)
        optimizer = torch.optim.SGD(
            self.model.parameters(), lr=1e-5, momentum=wrapper['optimizer'].get('momentum', 0.9)
        )
        self.optim = OPTIM_WRAPPERS.build({**wrapper, 'optimizer': optimizer})
        size = tuple(args.shape[1:])
        if cfg.default_scope == 'mmseg':
            self.model.data_preprocessor.size = size
        self.batch = generated_batch(cfg.default_scope, size, args.batch, what_fits(cfg.model))
        self.scope = cfg.default_scope
        hook = MomentumHook()
        self.optim_wrapper = self.optim
        hook.before_train(self)
        self.device, self.seconds = args.device, []
        self.step(self.fresh())
        batch = self.fresh()
        with PeakMeter(args.device) as meter:
            self.step(batch)
        self.peak_mib = meter.peak_bytes / 2**20

    def fresh(self):
        """The batch as it was: a data preprocessor may change what it is given."""
        return copy.deepcopy(self.batch)

    def step(self, batch):
        with DefaultScope.overwrite_default_scope(self.scope):
            self.model.train_step(batch, self.optim)
        if self.device == 'cuda':
            torch.cuda.synchronize()

    def time(self):
        batch = self.fresh()
        started = time.perf_counter()
        self.step(batch)
        self.seconds.append(time.perf_counter() - started)


def show(cases, args):
    shape = 'x'.join(map(str, args.shape))
    machine = torch.cuda.get_device_name() if args.device == 'cuda' else f'{torch.get_num_threads()} threads'
    table = Table(title=f'{args.batch} images of {shape}, {machine}, torch {torch.__version__}, {platform.machine()}')
    table.add_column('config', no_wrap=True)
    for column in ('peak MiB', 'ratio', 'seconds a step', 'ratio'):
        table.add_column(column, justify='right')
    first = next(iter(cases.values()))
    for path, case in cases.items():
        seconds, base = statistics.median(case.seconds), statistics.median(first.seconds)
        peak = f'{case.peak_mib:.1f}', f'{case.peak_mib / first.peak_mib:.3f}'
        table.add_row(path, *peak, f'{seconds:.2f}', f'{seconds / base:.2f}')
    Console(highlight=False, width=120).print(table)


@exit_with_message
def main():
    args = parse_args()
    cases = {path: Case(path, args) for path in args.configs}
    for _ in range(args.rounds):
        for case in cases.values():
            case.time()
    show(cases, args)


if __name__ == '__main__':
    main()
