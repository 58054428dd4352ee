"""Gradients against an explicit re-execution of every window, written without the library."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch.optim import SGD

from mmlocal.engine import BlockwiseOptimWrapper

CUTS = ['stem', 'layer1.1', 'layer3.0']
STAGES = ['layer1', 'layer2', 'layer3', 'layer4']


def wrapper(host, **kwargs):
    return BlockwiseOptimWrapper(optimizer=SGD(host.parameters(), lr=0.0), **kwargs)


def local_gradients(host, image):
    """Gradients of one step of the library; the optimizer does not move and does not clear them."""
    optim = wrapper(host)
    optim.zero_grad = lambda **_: None
    host.train_step(dict(inputs=image, data_samples=None), optim)
    return {name: p.grad for name, p in host.named_parameters()}


def blocks_of(network):
    """The four blocks that CUTS make, as lists of modules."""
    stem = [network.conv1, network.bn1, network.relu, network.maxpool]
    return [
        stem,
        [*network.layer1],
        [*network.layer2, network.layer3[0]],
        [network.layer3[1], *network.layer4],
    ]


def run(modules, x):
    for module in modules:
        x = module(x)
    return x


def expected_gradients(host, image, reach):
    """For every loss, run its window again from a detached feature, and add up the gradients."""
    host = copy.deepcopy(host)
    backbone = host.backbone
    for module in backbone.modules():
        module._forward_hooks.clear()
    blocks = blocks_of(backbone)
    for last in range(len(blocks)):
        first = max(0, last - reach + 1)
        with torch.no_grad():
            x = image
            for block in blocks[:first]:
                x = run(block, x)
        x = run([m for block in blocks[first : last + 1] for m in block], x.detach())
        if last < len(blocks) - 1:
            loss = backbone.local_division.auxiliaries[last].head(x).square().mean()
        else:
            loss = host.linear(x.mean((2, 3))).square().mean()
        loss.backward()
    return {name: p.grad for name, p in host.named_parameters()}


@pytest.mark.parametrize('reach', [1, 2, 3, 4])
def test_equal_to_explicit_windows(make_host, image, reach):
    host = make_host(partition=CUTS, reach=reach)
    expected = expected_gradients(host, image, reach)
    found = local_gradients(host, image)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert gradient is not None, name
        torch.testing.assert_close(gradient, expected[name], rtol=1e-12, atol=1e-14, msg=name)


def test_full_reach_without_auxiliaries_is_end_to_end(make_host, image):
    """With reach K the model's own loss reaches everything, so silent auxiliaries leave backpropagation."""
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'), loss_weight=0.0)
    host = make_host(partition=CUTS, reach=4, auxiliary=auxiliary)
    stock = make_host()
    stock.load_state_dict({k: v for k, v in host.state_dict().items() if 'auxiliaries' not in k})
    stock(image, mode='loss')['loss'].backward()
    found = local_gradients(host, image)
    for name, p in stock.named_parameters():
        local = found[name]
        torch.testing.assert_close(local, p.grad, rtol=1e-12, atol=1e-14, msg=name)


@pytest.mark.parametrize('neck', [False, True])
def test_a_later_loss_gives_an_earlier_block_nothing(make_host, image, neck):
    """Only block 2 is trained; with a neck, every output is read by the model's own loss as well."""
    silent = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'), loss_weight=0.0)
    auxiliary = [silent, dict(silent, loss_weight=1.0), silent]
    found = local_gradients(make_host(partition=CUTS, auxiliary=auxiliary, neck=neck), image)
    learns = {name for name, gradient in found.items() if gradient.any()}
    assert {name for name in learns if name.startswith('backbone.conv1')} == set()
    assert any(name.startswith('backbone.layer1') for name in learns)
    assert not any(name.startswith(('backbone.layer2', 'backbone.layer3.0')) for name in learns)
    assert any(name.startswith('backbone.layer4') for name in learns)
    assert 'linear.weight' in learns


def test_outputs_from_inside_a_finished_block_reach_the_neck(make_host, image):
    """layer1 and layer2 end inside block 1, whose graph is gone when the neck's loss is propagated."""
    host = make_host(partition=['layer3.0'], neck=True)
    assert host.backbone.local_division.probe.handed_out == ('layer1.1', 'layer2.1', 'layer3.1', 'layer4.1')
    only_block_1 = make_host(partition=['layer3.0'], neck=False)
    found, expected = local_gradients(host, image), local_gradients(only_block_1, image)
    for name in found:
        if name.startswith(('backbone.layer1', 'backbone.layer2')):
            assert torch.equal(found[name], expected[name]), name


def test_one_block_is_the_stock_model_to_the_bit(make_host, image):
    host, stock = make_host(partition=[]), make_host()
    stock.load_state_dict(host.state_dict())
    optims = [wrapper(host), OptimWrapper(optimizer=SGD(stock.parameters(), lr=0.1))]
    optims[0].optimizer.param_groups[0]['lr'] = 0.1
    for _ in range(3):
        logs = [
            m.train_step(dict(inputs=image, data_samples=None), o) for m, o in zip([host, stock], optims, strict=True)
        ]
        assert torch.equal(logs[0]['loss'], logs[1]['loss'])
    for key, value in stock.state_dict().items():
        assert torch.equal(host.state_dict()[key], value), key


def test_outside_a_step_the_network_is_stock(make_host, image):
    host, stock = make_host(partition=CUTS), make_host()
    stock.load_state_dict({k: v for k, v in host.state_dict().items() if 'auxiliaries' not in k})
    assert torch.equal(host(image), stock(image))
    host(image, mode='loss')['loss'].backward()
    stock(image, mode='loss')['loss'].backward()
    assert torch.equal(host.backbone.conv1.weight.grad, stock.backbone.conv1.weight.grad)


def test_a_unit_runs_once_a_step(make_host, image):
    host = make_host(partition=CUTS, reach=3)
    counts = dict.fromkeys((unit.name for unit in host.backbone.local_division.units), 0)

    def count(name):
        counts[name] += 1

    for unit in host.backbone.local_division.units:
        module = host.backbone.get_submodule(unit.end)
        module.register_forward_hook(lambda *_, name=unit.name: count(name))
    host.train_step(dict(inputs=image, data_samples=None), wrapper(host))
    assert set(counts.values()) == {1}


def test_nothing_remains_of_a_step(make_host, image):
    from mmlocal.blocks import current_step

    host = make_host(partition=CUTS, reach=2)
    optim = wrapper(host)
    host.train_step(dict(inputs=image, data_samples=None), optim)
    assert current_step() is None
    assert optim._step is None
    assert not host._forward_pre_hooks
    with pytest.raises(TypeError):
        host.train_step(dict(inputs='no image', data_samples=None), optim)
    assert current_step() is None
    assert optim._step is None
    assert not host._forward_pre_hooks
