"""What cannot be replaced is told before anything is trained."""

import pytest

from mmlocal.errors import ConfigError
from mmlocal.models.replacement import replaced_units
from tests.test_models.replacements import build

THUMBNAILS = 'ResNet of thumbnails'


def faults(name, **arguments):
    with pytest.raises(ConfigError) as caught:
        build(name, **arguments)
    return caught.value.faults


def test_unknown_units_are_refused_even_where_others_are_skipped():
    sentence = (
        "replace[1] = 'layer1.7' is not a unit of CifarResNet. Units: stem … layer3.4 (16). Did you mean 'layer1.4'?"
    )
    for on_unfit in ('refuse', 'skip'):
        assert faults(THUMBNAILS, replace=['layer1.2', 'layer1.7'], on_unfit=on_unfit) == (sentence,)


BOUNDARIES = {
    'stem': 'is the first unit of CifarResNet: no unit before it to be synthesised from',
    'layer2.0': 'is the first of its stage: its neighbours do not do what it does',
    'layer3.4': 'is the last unit of CifarResNet: no unit behind it to be synthesised from',
    'layer2.1': "cannot be synthesised from 'layer2.0': conv1.weight is (32, 16, 3, 3) there and (32, 32, 3, 3) here; "
    "form='transformation' has a fusion for that",
    'layer1.4': "cannot be synthesised from 'layer2.0': conv1.weight is (32, 16, 3, 3) there and (16, 16, 3, 3) here; "
    "form='transformation' has a fusion for that",
}


@pytest.mark.parametrize('unit', BOUNDARIES)
def test_units_at_a_boundary(unit):
    assert faults(THUMBNAILS, replace=[unit]) == (f'replace: {unit!r} {BOUNDARIES[unit]}',)


def test_all_at_once_and_neighbours_of_replaced_units():
    found = faults(THUMBNAILS, replace=['layer1.3', 'layer1.2', 'layer9.0', 'stem'])
    assert [fault[:16] for fault in found] == ["replace[2] = 'la", "replace: 'stem' ", "replace: 'layer1"]
    assert found[-1] == (
        "replace: 'layer1.3' stands next to 'layer1.2', which is replaced: that one has no weights to give"
    )


def test_what_no_fusion_brings_together():
    found = faults('ViT', replace=['layers.0'])
    assert found == ("replace: 'layers.0' is the first of its stage: its neighbours do not do what it does",)
    found = faults('ResNet-18', replace=['a', 'b'], form='transformation', units=['conv1', 'layer1', 'layer2'])
    assert found[0].startswith("replace[0] = 'a' is not a unit of ResNet. Units: conv1 … layer2 (3).")
    found = faults('ResNet-18', replace=['layer1'], form='transformation', units=['conv1', 'layer1', 'layer2'])
    assert found == ("replace: 'layer1' cannot be synthesised from 'conv1': it has no 0.conv1.weight",)


def test_frozen_units(mmdet_scope):
    sentence = "replace: 'layer1.1' is frozen: there is nothing to replace"
    assert faults('ResNet-18', replace=['layer1.1'], form='transformation', frozen_stages=1) == (sentence,)


def test_skipping_leaves_them_as_they_are():
    network = build(THUMBNAILS, replace=['layer1.2', 'layer1.3', 'layer2.0', 'layer3.4'], on_unfit='skip')
    assert [unit.name for unit in replaced_units(network)] == ['layer1.2']


def test_a_period_with_units_that_do_not_fit():
    network = build(THUMBNAILS, every=2, on_unfit='skip')
    assert [unit.name for unit in replaced_units(network)] == ['layer1.1', 'layer1.3', 'layer2.3', 'layer3.3']
    network = build(THUMBNAILS, every=2, form='transformation')
    assert [unit.name for unit in replaced_units(network)] == [f'layer{s}.{i}' for s in (1, 2, 3) for i in (1, 3)]
    assert faults(THUMBNAILS, every=2) == (
        f"every: 'layer2.1' {BOUNDARIES['layer2.1']}",
        "every: 'layer3.1' cannot be synthesised from 'layer3.0': conv1.weight is (64, 32, 3, 3) there and "
        "(64, 64, 3, 3) here; form='transformation' has a fusion for that",
    )


def test_nothing_is_left_to_replace():
    (first, second) = faults(THUMBNAILS, replace=['layer2.0'], on_unfit='skip')
    assert first == 'replace: no unit of CifarResNet can be replaced'
    assert second.startswith("'layer2.0' is the first of its stage")


def test_arguments():
    assert faults(THUMBNAILS, form='scalar', on_unfit='leave', every=1, turns=0, rank=0) == (
        'every = 1 is below 2: a replaced unit needs neighbours that are not',
        "form = 'scalar' is not one of scalars, transformation. Did you mean 'scalars'?",
        "on_unfit = 'leave' is not one of refuse, skip.",
        'turns = 0 is below 1',
        'rank = 0 is below 1',
    )
    sentence = 'every or replace: one of the two says which units are replaced'
    assert faults(THUMBNAILS, every=4, replace=['layer1.2']) == faults(THUMBNAILS, form='scalars') == (sentence,)
    assert faults(THUMBNAILS, every=4, turns=2, share_grad=True) == (
        'turns = 2 goes with share_grad = False: else gradients of all weights are needed in each step',
    )
