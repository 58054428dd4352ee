"""What chunks of the auxiliaries do to the gradients under batch norm, which normalises each chunk by itself.

    python tools/benchmarks/chunks.py configs/man/resnet32_man-plus-plus_k16_cifar10.py --shape 3 32 32 --batch 128

Of a step on the same images and weights: cosine and relative distance between the gradients with and without chunks,
the median over the blocks; and between those of two batches of images, for scale.
"""

import argparse
import copy
import statistics

import torch
from rich.console import Console
from rich.table import Table

from mmlocal.cli import exit_with_message, load_config
from mmlocal.commands.arguments import add_config_arguments
from mmlocal.config import find_backbone
from mmlocal.engine.summary import find_division
from mmlocal.errors import ConfigError
from mmlocal.hosts.generated_batches import generated_batch, what_fits
from mmlocal.planning import TrainingStep


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('--shape', type=int, nargs=3, default=(3, 32, 32), metavar=('C', 'H', 'W'))
    parser.add_argument('--batch', type=int, default=128, help='images in a batch')
    parser.add_argument('--chunks', type=int, nargs='+', default=[2, 4, 8])
    add_config_arguments(parser)
    args = parser.parse_args()
    if args.batch < 1 or min(*args.shape, *args.chunks) < 1:
        parser.error('--shape, --batch and --chunks must be positive')
    return args


def gradients(step):
    """Of each block but the last one, as one vector."""
    kept = {}
    handles = [
        p.register_post_accumulate_grad_hook(lambda p: kept.__setitem__(p, p.grad.clone()))
        for p in step.model.parameters()
        if p.requires_grad
    ]
    step.run()
    for handle in handles:
        handle.remove()
    division = find_division(step.model)
    blocks = [[p for unit in block for p in unit.parameters(division.network)] for block in division.blocks[:-1]]
    return [torch.cat([kept[p].flatten() for p in block if p in kept]) for block in blocks]


def compare(found, wanted):
    """Medians of cosine and relative distance."""
    pairs = list(zip(found, wanted, strict=True))
    cosines = [torch.cosine_similarity(one, other, dim=0).item() for one, other in pairs]
    distances = [((one - other).norm() / other.norm()).item() for one, other in pairs]
    return f'{statistics.median(cosines):.4f}', f'{statistics.median(distances):.3f}'


def prepared(cfg, args, chunks):
    cfg = copy.deepcopy(cfg)
    auxiliary = find_backbone(cfg)[1].auxiliary
    if not isinstance(auxiliary, dict) or 'cascade' in auxiliary:
        raise ConfigError('config: chunks are compared for one auxiliary for all blocks')
    auxiliary.chunks = chunks
    torch.manual_seed(0)
    return TrainingStep(cfg, tuple(args.shape), args.batch, warm_up=False)


@exit_with_message
def main():
    args = parse_args()
    cfg = load_config(args)
    if find_backbone(cfg) is None:
        raise ConfigError('config: it is not local')
    whole = gradients(prepared(cfg, args, 1))
    table = Table(title=f'{args.config}, {args.batch} images of {"x".join(map(str, args.shape))}')
    for column in ('gradients of the blocks', 'cosine', 'relative distance'):
        table.add_column(column, justify='right')
    for chunks in args.chunks:
        table.add_row(f'{chunks} chunks', *compare(gradients(prepared(cfg, args, chunks)), whole))
    other = prepared(cfg, args, 1)
    torch.manual_seed(1)
    other.batch = generated_batch(cfg.default_scope, tuple(args.shape[1:]), args.batch, what_fits(cfg.model))
    table.add_row('other images', *compare(gradients(other), whole))
    Console(highlight=False, width=100).print(table)


if __name__ == '__main__':
    main()
