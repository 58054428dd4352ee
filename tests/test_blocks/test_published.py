"""The published cuts, on the networks that they are for."""

import pytest

from mmlocal.blocks import Unit, find_cuts
from mmlocal.errors import ConfigError


def units(*stages):
    names = [f'layer{s}.{i}' for s, count in enumerate(stages, start=1) for i in range(count)]
    return [Unit(name, (name,)) for name in ['stem', *names]]


def cuts(network, **arguments):
    return find_cuts(dict(type='Published', **arguments), network)


R32, R110, R101 = units(5, 5, 5), units(18, 18, 18), units(3, 4, 23, 3)


@pytest.mark.parametrize(
    ('network', 'blocks'), [(R32, k) for k in (2, 3, 4, 8)] + [(R110, k) for k in (2, 3, 4, 8, 16, 32)] + [(R101, 4)]
)
def test_there_is_one_cut_less_than_blocks_each_a_unit(network, blocks):
    found = cuts(network, num_blocks=blocks)
    assert len(found) == len(set(found)) == blocks - 1
    names = [unit.name for unit in network]
    assert [names.index(name) for name in found] == sorted(names.index(name) for name in found)
    assert 'stem' not in found
    assert found[-1] != names[-1]


@pytest.mark.parametrize(('network', 'blocks'), [(R32, 16), (R110, 55)])
def test_every_unit_with_the_stem_in_the_first_block_or_alone(network, blocks):
    assert cuts(network, num_blocks=blocks) == [unit.name for unit in network[1:-1]]
    assert cuts(network, num_blocks=blocks, stem_alone=True) == [unit.name for unit in network[:-1]]


def test_some_as_they_are_printed():
    assert cuts(R101, num_blocks=4) == ['layer2.2', 'layer3.8', 'layer3.16']
    assert cuts(R32, num_blocks=8)[:3] == ['layer1.0', 'layer1.2', 'layer1.4']


def test_what_is_not_published_is_refused():
    with pytest.raises(ConfigError, match=r'num_blocks = 5 has no published cuts for 5-5-5 .*: 2, 3, 4, 8, 16\)'):
        cuts(R32, num_blocks=5)
    with pytest.raises(ConfigError, match=r'of this network: none'):
        cuts(units(2, 2, 2, 2), num_blocks=4)
