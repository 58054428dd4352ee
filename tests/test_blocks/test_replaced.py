"""Replaced units inside of blocks: the blocks stay isolated, and the units keep their names."""

import pytest

from mmlocal.errors import ConfigError
from mmlocal.models.replacement import replaced_units
from tests.test_blocks.test_gradients import CUTS, expected_gradients, local_gradients

# The third block of CUTS has layer2.0, layer2.1 and layer3.0.
UNIT = dict(
    type=dict(type='mmlocal.ReplacementBackbone', arch='mmdet.ResNet', replace=['layer2.1'], form='transformation')
)


@pytest.fixture
def refused(make_host):
    def refused(**backbone):
        with pytest.raises(ConfigError) as caught:
            make_host(**UNIT | backbone)
        return caught.value.faults

    return refused


@pytest.mark.parametrize('reach', [1, 2])
@pytest.mark.parametrize('share_grad', [False, True])
@pytest.mark.parametrize('recompute', [False, True])
def test_gradients_are_those_of_the_blocks_alone(make_host, image, reach, share_grad, recompute):
    arch = dict(UNIT['type'], share_grad=share_grad)
    host = make_host(partition=CUTS, reach=reach, type=arch, recompute=recompute)
    expected, found = expected_gradients(host, image, reach), local_gradients(host, image)
    learned = 'backbone.layer2.1.replacement.by.tensors.conv1-weight.mix'
    assert found[learned].all()
    for name, gradient in found.items():
        if name.startswith('backbone.'):
            assert (gradient - expected[name]).abs().max() <= 1e-12 * max(1.0, expected[name].abs().max()), name


def test_units_have_their_stock_names_and_keys(make_host):
    host, stock = make_host(partition=CUTS, **UNIT), make_host()
    assert [unit.name for unit in host.backbone.local_division.units] == [
        'stem',
        *(f'layer{stage}.{i}' for stage in (1, 2, 3, 4) for i in (0, 1)),
    ]
    state = host.state_dict()
    learned = {key for key in state if '.replacement.' in key or '.local_auxiliaries.' in key}
    assert set(state) - learned == set(stock.state_dict())
    host.load_state_dict(state, strict=True)


def test_a_neighbour_in_another_block(refused):
    for cuts, neighbour in ((['layer2.1'], 'layer3.0'), (['layer2.0', 'layer3.0'], 'layer2.0')):
        assert refused(partition=cuts) == (
            f"unit 'layer2.1' is synthesised from {neighbour!r}, which is in another block: cut elsewhere, or leave "
            'that unit as it is',
        )


def test_a_copy_of_a_replaced_unit(refused, man_auxiliary):
    man_auxiliary['bridge']['units'] = ['layer2.0', 'layer2.1']
    assert refused(partition=['layer1.1'], auxiliary=man_auxiliary) == (
        "auxiliary.bridge.units: 'layer2.1' is synthesised from its neighbours and cannot be copied alone: choose "
        'another one',
    )


def test_a_replaced_unit_trains_alone_with_its_block(make_host, image):
    host = make_host(partition=['layer1.1', 'layer3.0'], **UNIT)
    found = local_gradients(host, image)
    assert all(gradient is not None for gradient in found.values())
    (unit,) = replaced_units(host)
    assert unit.name == 'layer2.1'
