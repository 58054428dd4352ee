"""The cuts that papers publish, by the network's residual units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mmlocal.blocks.units import Unit
from mmlocal.errors import ConfigError
from mmlocal.registry import PARTITIONS

__all__ = ['published']

Cut = tuple[int, int]
_R32, _R110, _R101, _R152 = (5, 5, 5), (18, 18, 18), (3, 4, 23, 3), (3, 8, 36, 3)
_R110_K32 = (1, 2, 4, 5, 7, 9, 11, 13, 14, 16, 17)
# (Residual units a stage, blocks): the last unit of each block but the last, as (stage from 1, unit from 0).
# CIFAR: InfoPro (arXiv 2101.10832), AugLocal, MAN and their descendants, released code. ImageNet: K=2 of
# InfoPro and MAN, K=4 of MAN++ (arXiv 2507.16279), released code; ResNeXt-101 has the units of ResNet-101.
_CUTS: dict[tuple[tuple[int, ...], int], tuple[Cut, ...]] = {
    (_R32, 2): ((2, 1),),
    (_R32, 3): ((1, 4), (2, 4)),
    (_R32, 4): ((1, 2), (2, 1), (3, 0)),
    (_R32, 8): ((1, 0), (1, 2), (1, 4), (2, 1), (2, 3), (3, 0), (3, 2)),
    (_R110, 2): ((2, 8),),
    (_R110, 3): ((1, 17), (2, 17)),
    (_R110, 4): ((1, 11), (2, 7), (3, 3)),
    (_R110, 8): ((1, 4), (1, 11), (2, 0), (2, 7), (2, 14), (3, 3), (3, 10)),
    (_R110, 16): (
        *((1, unit) for unit in (1, 4, 7, 10, 13, 16)),
        *((2, unit) for unit in (1, 4, 7, 11, 15)),
        *((3, unit) for unit in (1, 5, 9, 13)),
    ),
    (_R110, 32): (
        *((stage, unit) for stage in (1, 2) for unit in _R110_K32),
        *((3, unit) for unit in (1, 3, 4, 6, 7, 9, 11, 13, 15)),
    ),
    (_R101, 2): ((2, 0),),
    (_R101, 4): ((2, 2), (3, 8), (3, 16)),
    (_R152, 2): ((2, 5),),
    (_R152, 4): ((2, 6), (3, 13), (3, 25)),
}


@PARTITIONS.register_module(name='Published')
def published(units: Sequence[Unit], num_blocks: int, stem_alone: bool = False) -> list[str]:
    """The published cuts of a ResNet-32 or -110 for CIFAR, or a ResNet-101, -152 or ResNeXt-101.

    `num_blocks` counts as the papers do: K = 16 of ResNet-32 and K = 55 of ResNet-110 cut behind every
    residual unit. These have 15 and 54 blocks where the stem belongs to the first one (MAN, HPFF), and
    16 and 55 where it is a block of its own (InfoPro, AugLocal, MAN++).

    Args:
        units: stem and residual units.
        num_blocks: K.
        stem_alone: whether the stem is a block of its own; for K = 16 and 55.

    Raises:
        ConfigError: if no cuts are published for this network and K.

    Example:
        >>> stage = lambda s: [Unit(f'layer{s}.{i}', (f'layer{s}.{i}',)) for i in range(5)]
        >>> published([*stage(1), *stage(2), *stage(3)], num_blocks=4)
        ['layer1.2', 'layer2.1', 'layer3.0']
    """
    residual = [unit for unit in units if unit.name != 'stem']
    sizes = tuple(Counter(unit.stage for unit in residual).values())
    every = sizes in (_R32, _R110) and num_blocks == len(residual) + 1
    known = sorted(blocks for network, blocks in _CUTS if network == sizes)
    if sizes in (_R32, _R110):
        known.append(len(residual) + 1)
    if num_blocks not in known:
        listed = ', '.join(map(str, known)) or 'none'
        raise ConfigError(
            f'num_blocks = {num_blocks} has no published cuts for {"-".join(map(str, sizes))} residual units '
            f'(those of ResNet-32, -110, -101 and -152 are known; of this network: {listed})'
        )
    cuts = [unit.name for unit in residual[:-1]] if every else [f'layer{s}.{i}' for s, i in _CUTS[sizes, num_blocks]]
    return ['stem', *cuts] if stem_alone else cuts
