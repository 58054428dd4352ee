"""A thousand steps cost no more memory than one, and nothing holds what is over."""

import copy
import gc
import weakref

import psutil
import pytest
import torch
from torch.optim import SGD, Optimizer

from mmlocal.blocks import step as step_module
from mmlocal.engine import BlockwiseOptimWrapper

# Few units, as a thousand steps are to be quick.
NETWORK = dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1))
CUTS = ['layer1.0', 'layer1.1']
KINDS = {
    'per_block': dict(step_policy='per_block'),
    'joint': dict(step_policy='joint'),
    'reach 2': dict(step_policy='joint'),
}


@pytest.fixture(params=KINDS)
def loop(request, make_host, make_loop, man_auxiliary):
    """Trains; with copies, as MAN has them."""
    reach = 2 if request.param == 'reach 2' else 1
    host = make_host(partition=CUTS, auxiliary=man_auxiliary, reach=reach, **NETWORK)
    return make_loop(host, BlockwiseOptimWrapper(SGD(host.parameters(), lr=0.01, momentum=0.9), **KINDS[request.param]))


@pytest.fixture
def small():
    return torch.randn(2, 3, 32, 32, dtype=torch.float64)


def count():
    """Tracked objects, and the tensors among them with their bytes."""
    gc.collect()
    objects = gc.get_objects()
    tensors = [one for one in objects if issubclass(type(one), torch.Tensor)]
    return len(objects), len(tensors), sum(one.numel() for one in tensors)


@pytest.mark.integration
def test_a_thousand_steps_with_flat_memory(loop, small):
    steps = 1000 if loop.optim_wrapper.step_policy(True) == 'per_block' else 250
    for _ in range(50):
        loop.step(small)
    before, resident = count(), psutil.Process().memory_info().rss
    for _ in range(steps):
        loop.step(small)
    after = count()
    assert after[1:] == before[1:]
    assert psutil.Process().memory_info().rss - resident < 8 * 2**20


def test_nothing_refers_to_a_step_that_is_over(loop, small, monkeypatch):
    steps, inner = [], step_module.LocalStep.__init__

    def noted(self, *args):
        inner(self, *args)
        steps.append(weakref.ref(self))

    monkeypatch.setattr(step_module.LocalStep, '__init__', noted)
    features = []
    handle = loop.model.backbone.layer2.register_forward_hook(
        lambda _module, _args, output: features.append(weakref.ref(output))
    )
    gc.disable()  # no cycle either: a step has to go by itself
    try:
        loop.step(small)
        handle.remove()
        assert [one() for one in steps] == [None]
        assert [one() for one in features] == [None]
    finally:
        gc.enable()


def reachable(root):
    """All that an object refers to, over any number of steps, but not through classes and modules of Python."""
    seen, left = {}, [root]
    while left:
        one = left.pop()
        if id(one) not in seen and not isinstance(one, (type, type(gc), type(count))):
            seen[id(one)] = one
            left += gc.get_referents(one)
    return seen.values()


def test_no_optimizer_is_reached_from_the_model(loop, small):
    loop.step(small)
    found = [one for one in reachable(loop.model) if isinstance(one, (Optimizer, BlockwiseOptimWrapper))]
    assert found == []


def test_a_copy_of_the_model_copies_no_state_of_the_optimizer(loop, small, monkeypatch):
    loop.step(small)
    copied = []
    monkeypatch.setattr(SGD, '__deepcopy__', lambda self, memo: copied.append(self), raising=False)
    other = copy.deepcopy(loop.model)
    assert copied == []
    tensors = sum(isinstance(one, torch.Tensor) for one in reachable(other))
    assert tensors <= len(list(other.parameters())) + len(list(other.buffers())) + 20
