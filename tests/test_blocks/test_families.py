"""Every network family: cut, trained in isolation, loaded from and published to the stock network."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmlocal.blocks import OUTPUTS, Probe
from tests.test_blocks.networks import ALL, of_network

every_network = pytest.mark.parametrize('family', ALL, indirect=True)


def gradients(model, below=''):
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None and n.startswith(below)}


def block_of(backbone, name):
    """Index of the block that a parameter of the network belongs to, or none."""
    parameter = dict(backbone.named_parameters())[name]
    owners = [
        i
        for i, b in enumerate(backbone.local_division.blocks)
        for u in b
        if any(p is parameter for p in u.parameters(backbone))
    ]
    return owners[0] if owners else None


@every_network
def test_it_is_cut_where_it_is_asked_for(family):
    backbone = family.local(dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))).backbone
    assert len(backbone.local_division.units) == family.units
    assert [block[-1].name for block in backbone.local_division.blocks[:-1]] == family.cuts
    assert isinstance(backbone.local_division.probe, Probe)
    assert backbone.local_division.units[-1].name in backbone.local_division.probe.reads[OUTPUTS]


def test_every_parameter_of_the_units_is_counted_once(family):
    backbone = family.local(dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))).backbone
    owned = [id(p) for unit in backbone.local_division.units for p in unit.parameters(backbone)]
    assert len(owned) == len(set(owned))
    first = backbone.local_division.units[0].parameters(backbone)
    assert first
    assert all(p.requires_grad for p in first)


@every_network
def test_a_block_hears_its_own_loss_only(family, make_loop):
    """With the local losses switched off one by one, exactly the gradients of their own blocks go."""
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    for silent in range(len(family.cuts)):
        configs = [dict(auxiliary, loss_weight=0.0 if i == silent else 1.0) for i in range(len(family.cuts))]
        model = family.local(configs)
        loop = make_loop(model)
        loop.model.train()
        grads = record(loop, family.image)
        for name, grad in grads.items():
            if not of_network(name):
                continue
            block = block_of(model.backbone, name.removeprefix('backbone.'))
            if block == silent:
                assert not grad.any(), f'{name} of block {block + 1} hears a loss that is not its own'
        heard = [n for n, g in grads.items() if of_network(n) and g.any()]
        assert {block_of(model.backbone, n.removeprefix('backbone.')) for n in heard} >= (
            set(range(len(family.cuts) + 1)) - {silent}
        )


@every_network
def test_a_reach_of_all_blocks_without_local_losses_is_end_to_end(family, make_loop):
    """Then the model's own loss flows back through every link, skips across boundaries included."""
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'), loss_weight=0.0)
    model, stock = family.local(auxiliary, reach=len(family.cuts) + 1), family.stock()
    stock.backbone.load_state_dict(published(model.backbone))
    # What a pyramid hands out before its end is detached at any reach.
    model.last_only = stock.last_only = True
    local = record(make_loop(model), family.image)
    loss = stock(family.image, mode='loss')['loss']
    loss.backward()
    for name, grad in gradients(stock).items():
        ours = local[name]
        torch.testing.assert_close(ours, grad, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f'{n}: {m}')


def record(loop, image):
    """Gradients that one training step leaves, before the optimizer uses them."""
    found = {}
    optimizer = loop.optim_wrapper.optimizer

    def keep(*_):
        for name, p in loop.model.named_parameters():
            if p.grad is not None:
                found[name] = found.get(name, 0) + p.grad.clone()

    handle = optimizer.register_step_pre_hook(keep)
    loop.step(image)
    handle.remove()
    return found


def published(backbone):
    """The state dict without everything of the auxiliaries, as publish_model.py makes it."""
    return {k: v for k, v in backbone.state_dict().items() if not k.startswith('local_auxiliaries.')}


@every_network
def test_stock_weights_load_and_the_published_model_is_the_stock_one(family, man_auxiliary):
    local, stock = family.local(family.with_copies(man_auxiliary)), family.stock()
    keys = local.backbone.load_state_dict(stock.backbone.state_dict(), strict=False)
    assert not keys.unexpected_keys
    assert all(key.startswith('local_auxiliaries.') for key in keys.missing_keys)
    other = family.stock()
    with torch.no_grad():
        for p in other.parameters():
            p.add_(0.1)
    other.backbone.load_state_dict(published(local.backbone), strict=True)
    with torch.no_grad():
        for ours, theirs in zip(local.eval()(family.image), other.eval()(family.image), strict=True):
            assert torch.equal(ours, theirs)


@every_network
def test_names_are_those_of_the_stock_network(family, man_auxiliary):
    """In its order, of the same kinds; so what looks for a name, a place or a class finds the same."""
    local, stock = family.local(family.with_copies(man_auxiliary)).backbone, family.stock().backbone

    def told(network):
        parameters = [(name, p.shape) for name, p in network.named_parameters()]
        buffers = [(name, b.shape) for name, b in network.named_buffers()]
        modules = [(name, type(m).__name__) for name, m in network.named_modules()]
        return [[one for one in told if not one[0].startswith('local_aux')] for told in (parameters, buffers, modules)]

    assert told(local) == told(stock)
    assert isinstance(local, type(stock))
    heard = []
    first = next(name for name, m in stock.named_modules() if isinstance(m, nn.Conv2d))
    local.get_submodule(first).register_forward_hook(lambda *_: heard.append(first))
    local(family.image)
    assert heard == [first]


WRAPPERS = ('OptimWrapper', 'mmlocal.BlockwiseOptimWrapper')


@pytest.mark.parametrize('wrappers', [WRAPPERS, WRAPPERS[::-1]], ids=['from stock', 'to stock'])
def test_states_of_optimizers_pass_between_stock_and_block_wise_wrappers(family, man_auxiliary, wrappers):
    """Each parameter of the local model finds its own state again, whichever of the wrappers saved it."""
    rules = dict(custom_keys={'backbone': dict(lr_mult=0.1)}, norm_decay_mult=0.0)
    model = family.local(man_auxiliary)

    def build(kind):
        optimizer = dict(type='Adam', lr=0.01, weight_decay=0.1)
        own = dict(constructor='mmlocal.LocalOptimWrapperConstructor', paramwise_cfg=rules)
        return build_optim_wrapper(model, dict(type=kind, optimizer=optimizer, **own))

    first, second = map(build, wrappers)
    model.train_step(dict(inputs=family.image, data_samples=None), first)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    ours, theirs = first.optimizer, second.optimizer
    trained = {n: p for n, p in model.named_parameters() if p in ours.state}
    assert any(of_network(name) for name in trained)
    assert set(ours.state) == set(theirs.state)
    assert all(torch.equal(ours.state[p]['exp_avg'], theirs.state[p]['exp_avg']) for p in trained.values())
    settings = [{p: (g['lr'], g['weight_decay']) for g in o.param_groups for p in g['params']} for o in (ours, theirs)]
    assert settings[0] == settings[1]
