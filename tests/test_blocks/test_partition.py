"""Where networks are cut."""

import pytest

from mmlocal.blocks import Unit, even, find_cuts, find_units, span, stage
from mmlocal.blocks.partition import check_cuts, to_blocks
from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS


def units(*names):
    return [Unit(name, (name,)) for name in names]


R18 = units('stem', *(f'layer{s}.{u}' for s in (1, 2, 3, 4) for u in (0, 1)))


@pytest.mark.parametrize(
    ('num_blocks', 'cuts'),
    [
        (1, []),
        (2, ['layer2.1']),
        (4, ['layer1.1', 'layer2.1', 'layer3.1']),
        (9, [unit.name for unit in R18[:-1]]),
    ],
)
def test_even(num_blocks, cuts):
    assert even(R18, num_blocks) == cuts


def test_stage_keeps_the_stem_with_the_first():
    assert stage(R18) == ['layer1.1', 'layer2.1', 'layer3.1']


@pytest.mark.parametrize('num_blocks', [0, 10])
def test_more_blocks_than_units(num_blocks):
    with pytest.raises(ConfigError, match=rf'num_blocks = {num_blocks} does not fit: .* are 9 units that train'):
        even(R18, num_blocks)


def test_names_and_types():
    assert find_cuts(['layer1.0'], R18) == ['layer1.0']
    assert find_cuts(dict(type='Even', num_blocks=2), R18) == ['layer2.1']
    with pytest.raises(ConfigError, match=r"'Evn' is not a partition .*Did you mean 'Even'\?"):
        find_cuts(dict(type='Evn', num_blocks=2), R18)


def test_every_wrong_cut_is_told():
    cuts = ['layer1.0', 'layer5.0', 'layer3.0', 'layer2.0', 'layer4.1']
    faults = check_cuts(cuts, R18, frozen=R18[:3], network='ResNet-18')
    assert [fault[:3] for fault in faults] == ['[0]', '[1]', '[3]', '[4]']
    for fault, part in zip(
        faults,
        ['lies in the frozen part', "Did you mean 'layer4.0'?", 'not come behind', 'is the last unit'],
        strict=True,
    ):
        assert part in fault


def test_for_a_module_that_is_no_unit_the_nearest_cut_is_named():
    (inside, stage) = check_cuts(['layer2.0.conv1', 'layer3'], R18, [], 'ResNet')
    assert inside.endswith("(9). It lies within 'layer2.0', behind which a cut is possible")
    assert stage.endswith("(9). It ends with 'layer3.1', behind which a cut is possible")


def test_blocks_hold_every_unit_once():
    blocks = to_blocks(R18, ['layer1.0', 'layer3.1'])
    assert [span(block) for block in blocks] == [
        'stem … layer1.0',
        'layer1.1 … layer3.1',
        'layer4.0 … layer4.1',
    ]
    assert [unit for block in blocks for unit in block] == R18


@pytest.mark.parametrize('arch', ['mmdet.ResNet', 'mmseg.ResNet', 'mmpretrain.ResNet'])
@pytest.mark.parametrize('kwargs', [{}, dict(deep_stem=True)])
def test_units_of_a_resnet_hold_all_of_its_parameters(arch, kwargs):
    network = MODELS.build(dict(type=arch, depth=18, **kwargs))
    found, _ = find_units(network)
    assert [unit.name for unit in found] == [unit.name for unit in R18]
    held = [id(p) for unit in found for p in unit.parameters(network)]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in network.parameters()}
    assert found[0].end == 'maxpool'
