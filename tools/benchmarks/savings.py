"""Bytes that autograd keeps for the backward, counted for published networks and cuts, beside the papers' figures.

    make bench-savings

Per image, float32, weights left out, each storage once; of local learning the largest block with its auxiliary.
Nothing is trained: the count depends on the architecture alone, and is the same on every machine.
"""

import argparse
import copy
import logging
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

import mmlocal.models.cifar_resnet  # noqa: F401
from mmlocal.cli import exit_with_message
from mmlocal.config import localize
from mmlocal.config.make_local import PRESETS
from mmlocal.engine.summary import make_plan
from mmlocal.memory import SavedBytes
from mmlocal.registry import MODELS

OUT = Path(__file__).parents[2] / 'docs/results/savings.md'
MIB = 2**20
CIFAR = dict(cut=dict(arch='mmlocal.CifarResNet'), size=32, channels=64)
IMAGENET = dict(cut=dict(arch='ResNet'), size=224, channels=2048)
RESNEXT = dict(cut=dict(arch='ResNeXt', groups=32, width_per_group=8), size=224, channels=2048)
DECODED = dict(terms=dict(reconstruction=dict(type='mmlocal.Reconstruction')))
# InfoPro and MAN have the classifier 2c2f beside the decoder, DGL and greedy learning no decoder.
INFOPRO = dict(DECODED, head=dict(for_cls=dict(layers='2c2f')))
LINEAR = dict(head=dict(for_cls=dict(layers='0c1f')))


@dataclass(frozen=True)
class Case:
    """A network, its blocks, a method, and what a paper gives for it: percent saved, and what that was measured as."""

    name: str
    network: dict
    depth: int
    blocks: int
    method: str
    auxiliary: dict = field(default_factory=dict)
    published: str = ''


CASES = [
    Case('ResNet-101', IMAGENET, 101, 2, 'infopro', {}, '38.8 (InfoPro, GPU, 8 x 128)'),
    Case('ResNet-152', IMAGENET, 152, 2, 'infopro', {}, '40.9 (InfoPro, GPU, 8 x 128)'),
    Case('ResNeXt-101 32x8d', RESNEXT, 101, 2, 'infopro', {}, '39.9 (InfoPro, its cut is a later one)'),
    Case('ResNet-101', IMAGENET, 101, 4, 'infopro', {}, '47.3 (MAN, cuts not given)'),
    Case('ResNet-152', IMAGENET, 152, 4, 'infopro', {}, '48.7 (MAN, cuts not given)'),
    Case('ResNet-101', IMAGENET, 101, 4, 'man', INFOPRO, '46.9 (MAN, cuts not given)'),
    Case('ResNet-152', IMAGENET, 152, 4, 'man', INFOPRO, '48.2 (MAN, cuts not given)'),
    Case('ResNet-32', CIFAR, 32, 8, 'infopro', INFOPRO),
    Case('ResNet-32', CIFAR, 32, 16, 'infopro', INFOPRO),
    Case('ResNet-32', CIFAR, 32, 8, 'man', INFOPRO),
    Case('ResNet-32', CIFAR, 32, 16, 'man', INFOPRO),
    Case('ResNet-110', CIFAR, 110, 32, 'man', INFOPRO),
    Case('ResNet-110', CIFAR, 110, 55, 'greedy', LINEAR),
    Case('ResNet-110', CIFAR, 110, 55, 'infopro', INFOPRO),
    Case('ResNet-110', CIFAR, 110, 55, 'man', INFOPRO),
    Case('ResNet-110', CIFAR, 110, 55, 'hpff', {}, '73.7 to 79.5 (HPFF, GPU, 1024)'),
]


def build(case, local):
    """The classifier, and its backbone local or stock."""
    backbone = dict(case.network['cut'], depth=case.depth)
    classes = 10 if case.network is CIFAR else 1000
    if local:
        arguments = Config.fromfile(PRESETS / f'{case.method}.py')
        arguments.merge_from_dict({case.method: dict(auxiliary=case.auxiliary)})
        backbone.update(arguments[case.method].to_dict(), type='mmlocal.LocalBackbone')
        backbone['partition'] = dict(type='Published', num_blocks=case.blocks)
        backbone['probe_size'] = case.network['size']
    else:
        backbone['type'] = backbone.pop('arch')
    head = dict(
        type='LinearClsHead',
        num_classes=classes,
        in_channels=case.network['channels'],
        loss=dict(type='CrossEntropyLoss'),
    )
    model = dict(type='ImageClassifier', backbone=backbone, neck=dict(type='GlobalAveragePooling'), head=head)
    cfg = localize(Config(dict(default_scope='mmpretrain', model=model)))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(copy.deepcopy(cfg.model))


def end_to_end(case):
    """Bytes of the stock network for one image."""
    network = build(case, local=False).backbone
    network.eval()
    with SavedBytes(network) as saved:
        alive = network(torch.zeros(1, 3, case.network['size'], case.network['size']))
    del alive
    return saved.total


def held(case):
    """Bytes of the largest block, or of as many neighbours as a loss reaches, their auxiliaries included."""
    division = build(case, local=True).backbone.local_division
    plans, pixels = make_plan(division), division.probe_size**2
    windows = [
        pixels
        * (
            plan.auxiliary_bytes_per_pixel
            + sum(p.bytes_per_pixel for p in plans[max(0, i - division.reach + 1) : i + 1])
        )
        for i, plan in enumerate(plans)
    ]
    return max(windows), 1 + windows.index(max(windows))


def row(case):
    stock = end_to_end(case)
    local, where = held(case)
    saved = 100 * (1 - local / stock)
    published = case.published.partition(' ')
    agrees = ''
    if published[0] and ' to ' not in case.published:
        agrees = f'{saved - float(published[0]):+.1f}'
    cells = [case.name, case.method, case.blocks, f'{stock / MIB:.2f}', f'{local / MIB:.2f}', where, f'{saved:.1f}']
    return '| ' + ' | '.join(map(str, [*cells, case.published, agrees])) + ' |'


@exit_with_message
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=OUT)
    args = parser.parse_args()
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    header = '| network | method | K | end-to-end, MiB | local, MiB | largest | saved, % | published, % | difference |'
    lines = [
        '# Memory kept for the backward, counted',
        '',
        '`make bench-savings`: bytes that autograd keeps for one float32 image, weights left out, each storage once;',
        'of local learning the largest block with its auxiliary, for HPFF with its neighbour. Counted, not measured:',
        'the same on every machine. Papers measured GPU memory at their batch sizes, with weights and',
        'optimizer. InfoPro and MAN with decoder and 2c2f, greedy with a linear head; K as the papers count it, the',
        'stem in the first block.',
        '',
        header,
        '|' + ' --- |' * 9,
        *map(row, CASES),
        '',
    ]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text('\n'.join(lines))
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
