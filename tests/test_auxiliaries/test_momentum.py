"""The momentum copies of MAN and MAN++."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mmlocal.auxiliaries import MomentumBridge, MomentumCopy
from mmlocal.blocks import Later, Place, Shape
from mmlocal.engine import MomentumHook
from mmlocal.errors import ConfigError
from mmlocal.memory import SavedBytes

CUTS = ['layer1.1', 'layer2.1']


def pairs(host):
    return [(copy_, copy_.source) for copy_ in host.modules() if isinstance(copy_, MomentumCopy)]


def weights(module):
    return {name: p.detach().clone() for name, p in module.named_parameters()}


@pytest.mark.parametrize('policy', ['joint', 'per_block'])
def test_copies_move_once_and_from_the_weights_of_the_forward(make_host, make_loop, man_auxiliary, image, policy):
    loop = make_loop(make_host(partition=CUTS, auxiliary=man_auxiliary), step_policy=policy)
    for _ in range(3):
        before = [(weights(c.module), weights(s)) for c, s in pairs(loop.model)]
        loop.step(image)
        for (copy_, source), (old_copy, old_source) in zip(pairs(loop.model), before, strict=True):
            for name, p in copy_.module.named_parameters():
                assert torch.equal(p, 0.9 * old_copy[name] + (1 - 0.9) * old_source[name])
            moved = weights(source)
            assert any(not torch.equal(moved[name], old_source[name]) for name in moved)
    assert all(copy_.steps == 4 for copy_, _ in pairs(loop.model))


def test_both_policies_train_alike(make_host, make_loop, man_auxiliary, image):
    """Later auxiliaries must not see copies that moved at an earlier block's step."""
    states = []
    for policy in ('joint', 'per_block'):
        loop = make_loop(make_host(partition=CUTS, auxiliary=man_auxiliary), step_policy=policy)
        for _ in range(3):
            loop.step(image)
        states.append(loop.model.state_dict())
    assert all(torch.equal(states[1][name], value) for name, value in states[0].items())


def test_copies_move_only_when_the_optimizer_does(make_host, make_loop, man_auxiliary, image):
    loop = make_loop(make_host(partition=CUTS, auxiliary=man_auxiliary), accumulative_counts=2)
    loop.step(image)
    assert all(copy_.steps == 1 for copy_, _ in pairs(loop.model))
    loop.step(image)
    assert all(copy_.steps == 2 for copy_, _ in pairs(loop.model))


def test_a_started_copy_is_not_started_again(make_host, make_loop, man_auxiliary, image):
    loop = make_loop(make_host(partition=CUTS, auxiliary=man_auxiliary))
    loop.step(image)
    before = copy.deepcopy(loop.model.state_dict())
    loop.hook.after_train(loop)
    MomentumHook().before_train(loop)
    assert all(torch.equal(value, before[name]) for name, value in loop.model.state_dict().items())


def test_copies_start_equal_to_their_source(make_host, make_loop, man_auxiliary):
    host = make_host(partition=CUTS, auxiliary=man_auxiliary)
    torch.nn.init.constant_(host.backbone.layer2[0].conv1.weight, 0.25)
    make_loop(host)
    bridge = host.backbone.local_division.auxiliaries[0].bridge
    for copied in (bridge.learnable, bridge.ema.module):
        assert torch.equal(copied.conv1.weight, host.backbone.layer2[0].conv1.weight)


def test_the_optimizer_holds_what_stock_holds_and_what_trains(make_host, man_auxiliary):
    host = make_host(partition=CUTS[1:], auxiliary=man_auxiliary, frozen_stages=1)
    wrapper = dict(type='mmlocal.BlockwiseOptimWrapper', constructor='mmlocal.LocalOptimWrapperConstructor')
    optim = build_optim_wrapper(host, dict(wrapper, optimizer=dict(type='SGD', lr=0.1)))
    listed = [id(p) for group in optim.optimizer.param_groups for p in group['params']]
    named = dict(host.named_parameters())
    stock = [id(p) for name, p in named.items() if 'local_auxiliaries' not in name]
    assert any('layer1' in name for name, p in named.items() if not p.requires_grad)
    assert any('.ema.' in name for name in named)
    assert set(listed) == {*stock, *(id(p) for p in named.values() if p.requires_grad)}
    assert len(listed) == len(set(listed))
    # In stock's order, as an optimizer's state is restored by position.
    assert listed[: len(stock)] == stock


def bridge(momentum=0.9, scaling=False):
    torch.manual_seed(0)
    source = torch.nn.Conv2d(4, 6, 3, padding=1).double()
    shape = Shape(6, 1)
    place = Place('block1', 'layer1.0', Shape(4, 1), (Later('layer2.0', source, shape),))
    built = MomentumBridge(place, momentum, scaling).double()
    torch.nn.init.normal_(built.learnable.weight)
    torch.nn.init.normal_(built.ema.module.weight)
    return built


def test_man_plus_plus_at_one_is_man_and_its_ends_are_the_copies():
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    man, scaled = bridge(), bridge(scaling=True)
    scaled.load_state_dict(man.state_dict(), strict=False)
    assert torch.equal(scaled(x), man(x))
    with torch.no_grad():
        scaled.scale.fill_(0)
        assert torch.equal(scaled(x), 2 * scaled.ema(x))
        scaled.scale.fill_(2)
        assert torch.equal(scaled(x), 2 * scaled.learnable(x))


def test_gradients_of_the_scaled_pair():
    """y = s b(x) + (2 - s) e(x): dy/ds = b(x) - e(x); the copy gets none, and x hears both."""
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    scaled = bridge(scaling=True)
    with torch.no_grad():
        scaled.scale.fill_(0.7)
    scaled(x).sum().backward()
    with torch.no_grad():
        slope = (scaled.learnable(x) - scaled.ema(x)).sum()
    torch.testing.assert_close(scaled.scale.grad, slope)
    assert scaled.ema.module.weight.grad is None
    mixed = 0.7 * scaled.learnable.weight + 1.3 * scaled.ema.module.weight
    other = x.detach().requires_grad_()
    torch.conv2d(other, mixed, padding=1).sum().backward()
    torch.testing.assert_close(x.grad, other.grad)


def test_copies_normalise_as_their_source_does(make_host, man_auxiliary):
    host = make_host(partition=CUTS, auxiliary=man_auxiliary, norm_eval=True)
    copies = host.backbone.local_division.auxiliaries[0].bridge
    assert not copies.learnable.bn1.training
    assert not copies.ema.module.bn1.training
    assert (
        make_host(partition=CUTS, auxiliary=man_auxiliary)
        .backbone.local_division.auxiliaries[0]
        .bridge.learnable.bn1.training
    )


@pytest.mark.parametrize('momentum', [0.0, 1.0])
def test_both_ends_of_the_range_are_allowed(momentum):
    follower = MomentumCopy(torch.nn.Linear(2, 2), momentum)
    follower.start()
    torch.nn.init.zeros_(follower.source.weight)
    follower.move()
    assert follower.module.weight.any() == (momentum == 1.0)


@pytest.mark.parametrize('momentum', [-0.1, 1.001])
def test_a_momentum_outside_of_it_is_refused(momentum):
    with pytest.raises(ConfigError, match=rf'momentum = {momentum} is not within 0 and 1'):
        MomentumCopy(torch.nn.Linear(2, 2), momentum)


def test_recomputing_the_copy_changes_nothing_but_what_is_kept(make_host, make_loop, man_auxiliary, image):
    states, kept = [], []
    for recompute in (False, True):
        auxiliary = copy.deepcopy(man_auxiliary)
        auxiliary['bridge']['recompute'] = recompute
        loop = make_loop(make_host(partition=CUTS, auxiliary=auxiliary))
        loop.step(image)
        loop.step(image)
        states.append(copy.deepcopy(loop.model.state_dict()))
        feature = torch.randn(2, 8, 16, 16, dtype=torch.float64, requires_grad=True)
        with SavedBytes(loop.model) as saved:
            output = loop.model.backbone.local_division.auxiliaries[0].bridge(feature)
        kept.append(saved.total)
        del output
    assert all(torch.equal(states[1][name], value) for name, value in states[0].items())
    assert kept[1] < 0.7 * kept[0]
