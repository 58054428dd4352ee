"""Peak memory and time of a training step, side by side, on generated images.

    python tools/benchmark.py configs/man/faster_rcnn_r50_man_coco.py --shape 3 512 512
    python tools/benchmark.py configs/e2e/resnet32_cifar10.py \\
        configs/hpff/resnet32_hpff-infopro_k16_cifar10.py --shape 3 32 32

One local config is held against its own model trained end to end, end to end with the network's own checkpointing
(`with_cp`; units recomputed where it has none); with --amp all of them with mixed precision as well. Several configs of
any host are held against the first. Each has a process of its own, their steps take turns, medians are shown. Peaks are
live bytes above the weights and what the optimizer keeps.
"""

import argparse

import torch
from rich.console import Console
from rich.table import Table

from mmlocal.cli import exit_with_message, load_config
from mmlocal.commands.arguments import add_config_arguments
from mmlocal.config import find_backbone
from mmlocal.errors import ConfigError
from mmlocal.planning import Variant, checkpointed, end_to_end, machine, measure


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'configs', nargs='+', help='a local config, or several; the first is what others are compared with'
    )
    parser.add_argument('--shape', type=int, nargs=3, default=(3, 512, 512), metavar=('C', 'H', 'W'))
    parser.add_argument('--batch', type=int, default=2, help='images in a batch')
    parser.add_argument('--rounds', type=int, default=3, help='timed steps of each')
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    # Beside the config, and not in it: `load_config` reads `args.amp` as train.py's.
    parser.add_argument('--amp', dest='mixed', action='store_true', help='mixed precision as well, of a single config')
    add_config_arguments(parser)
    args = parser.parse_args()
    if args.batch < 1 or args.rounds < 1 or min(args.shape) < 1:
        parser.error('--shape, --batch and --rounds must be positive')
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: torch sees no GPU here')
    return args


def load(path, args):
    args.config = path
    return load_config(args)


def ways_of(cfg, amp):
    """End to end first; what it has against memory; then the local config."""
    if find_backbone(cfg) is None:
        raise ConfigError('config: a single config must be local, to be compared with itself trained end to end')
    ways = [Variant('end-to-end', end_to_end(cfg)), checkpointed(cfg), Variant('local', cfg)]
    return ways + ([way._replace(name=f'{way.name}, mixed precision', amp=True) for way in ways] if amp else [])


def show(found, args):
    table = Table(title=f'{args.batch} images of {"x".join(map(str, args.shape))}, {machine(args.device)}')
    table.add_column('', no_wrap=True)
    first = found[0]
    # What the caching allocator held beside what was allocated: on CUDA alone.
    reserved = ['reserved'] if first.reserved_bytes is not None else []
    for column in ('peak MiB', 'ratio', 'weights and state', *reserved, 'seconds a step', 'ratio'):
        table.add_column(column, justify='right')
    for one in found:
        peak = f'{one.peak_bytes / 2**20:.1f}', f'{one.peak_bytes / first.peak_bytes:.3f}'
        time = f'{one.median:.2f}', f'{one.median / first.median:.2f}'
        static = [f'{nbytes / 2**20:.1f}' for nbytes in (one.static_bytes, one.reserved_bytes) if nbytes is not None]
        table.add_row(one.name, *peak, *static, *time)
    Console(highlight=False, width=120).print(table)


@exit_with_message
def main():
    args = parse_args()
    if len(args.configs) == 1:
        ways = ways_of(load(args.configs[0], args), args.mixed)
    else:
        ways = [Variant(path, load(path, args)) for path in args.configs]
    show(measure(ways, tuple(args.shape), args.batch, args.rounds, args.device), args)


if __name__ == '__main__':
    main()
