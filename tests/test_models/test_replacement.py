"""Units without weights of their own compute what the formulas say, and train nothing else."""

import copy

import pytest
import torch
from mmengine.registry import DefaultScope

from mmlocal.errors import ConfigError
from mmlocal.models.replacement import replaced_units
from mmlocal.models.replacement.fusion import Fusion
from mmlocal.registry import MODELS
from tests.test_models.replacements import Reference, build, images, padded, run

FUSED = dict(form='transformation', rank=3)
SWIN = [('stages.0.blocks.1', 'stages.0.blocks.0', 'stages.1.blocks.0')]
# Network, arguments, and (unit, before, behind) as module names.
CASES = [
    ('ResNet of thumbnails', dict(every=4), [(f'layer{s}.2', f'layer{s}.1', f'layer{s}.3') for s in (1, 2, 3)]),
    ('ResNet-18', dict(FUSED, replace=['layer1.1']), [('layer1.1', 'layer1.0', 'layer2.0')]),
    ('ResNet-50', dict(FUSED, replace=['layer2.1']), [('layer2.1', 'layer2.0', 'layer2.2')]),
    ('ResNeXt', dict(FUSED, replace=['layer1.2']), [('layer1.2', 'layer1.1', 'layer2.0')]),
    ('ViT', dict(replace=['layers.2', 'layers.4']), [tuple(f'layers.{i + j}' for j in (0, -1, 1)) for i in (2, 4)]),
    ('ViT', dict(FUSED, replace=['layers.3']), [('layers.3', 'layers.2', 'layers.4')]),
    ('Swin', dict(FUSED, replace=['stages.0.1']), SWIN),
]  # fmt: skip


@pytest.mark.parametrize('share_grad', [False, True], ids=['detached', 'shared'])
@pytest.mark.parametrize(('name', 'arguments', 'places'), CASES, ids=[f'{c[0]}-{len(c[1])}' for c in CASES])
def test_values_and_gradients_are_those_of_the_formulas(name, arguments, places, share_grad):
    network = build(name, **arguments, share_grad=share_grad)
    reference = Reference(build(name), network, places, share_grad)
    outputs, expected = (run(images(name))[-1] for run in (network, reference))
    assert outputs.sub(expected).abs().max() <= 1e-9 * expected.abs().max()
    direction = torch.randn_like(expected)
    for output in (outputs, expected):
        (output * direction).sum().backward()
    for key, p in network.named_parameters():
        grad = reference.leaves[key].grad
        assert p.grad.sub(grad).abs().max() <= 1e-9 * max(1.0, grad.abs().max()), key
    assert len(replaced_units(network)) == len(places)


@pytest.mark.parametrize(('given', 'wanted'), [(3, 5), (5, 3), (1, 3), (7, 3)])
def test_kernels_keep_their_centre(given, wanted):
    kernel = torch.randn(4, 2, given, given)
    found = Fusion([1, 4, 2, given, given], [1, 4, 2, wanted, wanted], rank=1)(kernel[None])[0]
    assert torch.equal(found, padded(kernel, wanted))


def test_replaced_weights_are_no_parameters_and_statistics_are():
    network, stock = (build('ResNet of thumbnails', **arguments) for arguments in (dict(every=4), {}))
    own = {name for name, _ in network.named_parameters()}
    gone = {name for name, _ in stock.named_parameters()} - own
    assert {name.rsplit('.', 2)[0] for name in gone} == {'layer1.2', 'layer2.2', 'layer3.2'}
    assert own - set(dict(stock.named_parameters())) == {f'layer{s}.2.replacement.by.mix' for s in (1, 2, 3)}
    (unit, *_) = replaced_units(network)
    network(images('ResNet of thumbnails'))
    before = network.layer1[1].norm1.running_mean
    assert unit.unit.norm1.running_mean.any()
    assert not torch.equal(unit.unit.norm1.running_mean, before)


def test_statistics_are_taken_where_the_host_keeps_its_own():
    network = build('ResNet-18', replace=['layer1.1'], **FUSED)
    network.norm_eval = True
    run(network, images('ResNet-18'))
    assert replaced_units(network)[0].unit.bn1.running_mean.any()
    assert not network.layer1[0].bn1.running_mean.any()
    kept = copy.deepcopy(network.state_dict())
    run(network, images('ResNet-18'), training=False)
    assert all(torch.equal(value, kept[key]) for key, value in network.state_dict().items())


def gradients(network, x):
    network.zero_grad()
    network(x)[-1].square().mean().backward()
    return {name: p.grad for name, p in network.named_parameters()}


def test_units_learn_in_turn():
    network = build('ResNet of thumbnails', every=4, turns=3)
    whole = build('ResNet of thumbnails', every=4)
    x, learned = images('ResNet of thumbnails'), []
    for _ in range(4):
        expected = gradients(whole, x)
        found = gradients(network, x)
        learned.append([name[:6] for name, grad in found.items() if grad is not None and 'mix' in name])
        assert all(torch.equal(grad, expected[name]) for name, grad in found.items() if grad is not None)
    assert learned == [['layer3'], ['layer2'], ['layer1'], ['layer3']]
    again = build('ResNet of thumbnails', seed=1, every=4, turns=3)
    again.load_state_dict(network.state_dict())
    assert [name[:6] for name, grad in gradients(again, x).items() if grad is not None and 'mix' in name] == ['layer2']
    run(network, x, training=False)
    assert [unit.replacement.steps for unit in replaced_units(network)] == [4] * 3


@pytest.mark.parametrize('turns', [1, 2])
def test_running_again_changes_no_gradient(turns):
    x = images('ResNet of thumbnails')
    plain, again = (
        build('ResNet of thumbnails', every=4, turns=turns, recompute=recompute) for recompute in (False, True)
    )
    for _ in range(2):
        expected, found = gradients(plain, x), gradients(again, x)
        for name, grad in expected.items():
            assert (grad is None) == (found[name] is None)
            assert grad is None or torch.equal(grad, found[name]), name
    for key, value in plain.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_the_hosts_own_checkpointing(mmdet_scope):
    import mmdet.models  # noqa: F401

    def built(**arguments):
        torch.manual_seed(0)
        config = dict(arch='ResNet', depth=18, base_channels=8, norm_eval=False, replace=['layer2.1'], **FUSED)
        return MODELS.build(dict(type='mmlocal.ReplacementBackbone', **config, **arguments))

    x = images('ResNet-18', torch.float32)
    expected, found = gradients(built(), x), gradients(built(with_cp=True), x)
    assert found['layer2.1.replacement.by.tensors.conv1-weight.mix'].any()
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad, msg=name)


def test_stock_weights_load_and_a_checkpoint_loads_into_the_stock_network():
    network, stock = build('Swin', replace=['stages.0.1', 'stages.1.2'], **FUSED), build('Swin', seed=3)
    missing = network.load_state_dict(stock.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert all('.replacement.' in key for key in missing.missing_keys)
    assert torch.equal(
        network.stages[1].blocks[0].attn.w_msa.qkv.weight, stock.stages[1].blocks[0].attn.w_msa.qkv.weight
    )
    state = {key: value for key, value in network.state_dict().items() if '.replacement.' not in key}
    stock.load_state_dict(state, strict=True)
    x = images('Swin')
    assert torch.equal(run(network, x, training=False), run(stock, x, training=False))


def test_a_copy_of_the_network_reads_its_own_neighbours():
    network = build('ViT', replace=['layers.2'])
    copied = copy.deepcopy(network)
    x = images('ViT')
    expected = run(network, x, training=False).detach()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(1.0)
    assert torch.equal(run(copied, x, training=False), expected)
    assert replaced_units(copied)[0]._sources[0] is copied.layers[1]
    with pytest.raises(ConfigError) as caught:
        copy.deepcopy(network.layers[2])
    assert str(caught.value) == (
        "units: 'layers.2' is synthesised from its neighbours and cannot be copied alone: choose another one"
    )


def test_initialisation_of_the_host_does_not_look_for_the_weights():
    for name, unit in (('ViT', 'layers.2'), ('Swin', 'stages.1.1')):
        network = build(name, replace=[unit], form='scalars')
        before = replaced_units(network)[0].replacement.by.mix.detach().clone()
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            network.init_weights()
        assert torch.equal(replaced_units(network)[0].replacement.by.mix, before)
