"""What a method cannot do is told before training starts."""

import copy

import pytest
from mmengine.registry import DefaultScope

from mmlocal.config import localize, make_local
from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS

CLS, DET = 'e2e/resnet32_mini-digits.py', 'e2e/retinanet_r18_mini-coco.py'


@pytest.fixture
def refused(config):
    """The sentences of a method on a host, with changes of the local network's config."""
    import mmlocal.models.cifar_resnet  # noqa: F401

    def build(path, method, blocks=4, **changes):
        cfg = make_local(config(path), method, blocks)
        cfg.merge_from_dict({f'model.backbone.{key}': value for key, value in changes.items()})
        with pytest.raises(ConfigError) as caught, DefaultScope.overwrite_default_scope(cfg.default_scope):
            MODELS.build(copy.deepcopy(localize(cfg).model.backbone))
        return caught.value.faults

    return build


def test_a_method_without_a_form_for_the_task(refused):
    assert refused(DET, 'hpff') == (
        'auxiliary.cascade.patches: DenseDetHead has no form for patches: it reads the whole image',
    )
    assert refused(DET, 'predsim') == (
        "model.backbone.auxiliary.terms.similarity.type = 'mmlocal.Similarity' needs a classifier: the host has no "
        'head with num_classes',
    )
    (first, *_) = refused(DET, 'sgr', blocks=2)
    assert first == "reconcile: 'layer1.1' is read behind its block, where its gradient is cut"


def test_a_reach_above_the_number_of_blocks(refused):
    assert refused(CLS, 'mlaan', blocks=2) == ('reach = 3 is not within 1 and the number of blocks, 2',)


def test_an_overlap_below_zero(refused):
    assert refused(CLS, 'backlink', overlap=-1) == ('overlap = -1 is below 0',)


def test_reconciliation_of_windows(refused):
    assert refused(CLS, 'sgr', reach=2) == ('reconcile = 1.0 needs isolated blocks: reach = 1 and overlap = 0',)


@pytest.mark.parametrize(
    ('units', 'sentence'),
    [
        (
            ['layer1.0', 'layer3.9'],
            "units[0] = 'layer1.0' is not behind block1, which ends with 'layer1.2'|"
            "units[1] = 'layer3.9' is not a unit behind 'layer1.2'. Did you mean 'layer3.4'?",
        ),
        (
            dict(type='Leap', chains=dict(layer2=['layer1.4'])),
            "units.chains has none for 'layer1', the stage of 'layer1.2'",
        ),
        (dict(type='Leap', chains=dict(layer1=['stem'])), "units.chains: 'stem' is not behind the blocks of 'layer1'"),
        (dict(type='Leap', chains=dict(layer1=['a'])), "units.chains: 'a' is no unit of the network"),
        (dict(type='Laep'), "units.type = 'Laep' is not one of Leap, Next, PerStage, Sampled. Did you mean 'Leap'?"),
        (dict(type='Next', depth=0), 'units.depth = 0 is below 1'),
    ],
)
def test_units_to_copy(refused, config, units, sentence):
    cfg = make_local(config(CLS), 'man', 4)
    cfg.model.backbone.auxiliary.bridge.units = units
    cfg.model.backbone.partition = ['layer1.2', 'layer2.1', 'layer3.0']
    with pytest.raises(ConfigError) as caught, DefaultScope.overwrite_default_scope('mmpretrain'):
        MODELS.build(copy.deepcopy(localize(cfg).model.backbone))
    assert caught.value.faults[: len(sentence.split('|'))] == tuple(
        f'auxiliary.bridge.{one}' for one in sentence.split('|')
    )


def test_patches_that_do_not_divide_the_map(config):
    import mmlocal.models.cifar_resnet  # noqa: F401
    from mmlocal.validation.data.loops import _check_image

    cfg = make_local(config(CLS), 'hpff', 4)
    cfg.model.backbone.auxiliary.cascade.patches = 3
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(copy.deepcopy(localize(cfg).model))

    class Sample:
        shape = (3, 48, 32)

    with pytest.raises(ConfigError) as caught:
        _check_image(model, dict(inputs=Sample))
    assert caught.value.faults[0] == (
        'model.backbone.local_auxiliaries.0.cascade.patches = 3 does not divide the feature of block2 (behind '
        "'layer2.1'), which has 24 x 16 pixels"
    )


def test_labels_that_are_not_there():
    from mmlocal.hosts.samples import labels_of

    with pytest.raises(ConfigError, match='this method compares labels, and the images have no single label each'):
        labels_of([object()])


def test_weights_outside_of_their_range(refused):
    (fault,) = refused(CLS, 'hilo', **{'auxiliary.independent_weight': 1.5})
    assert fault == 'auxiliary.independent_weight = 1.5 is not within 0 and 1 (0.001 is published)'
