"""Units that run again in the backward: the same gradients, batch norm counted once, less memory."""

import copy

import pytest
import torch
from torch.optim import SGD

from mmlocal.engine import BlockwiseOptimWrapper
from mmlocal.memory import PeakMeter

CUTS = ['layer1.1', 'layer2.1']


@pytest.fixture
def both(make_host):
    """The same host twice, the second one with its units recomputed."""
    return lambda **options: [make_host(**options, recompute=again) for again in (False, True)]


class Kept(BlockwiseOptimWrapper):
    """Keeps the gradients of the last step."""

    def step(self, **kwargs):
        self.grads = [None if p.grad is None else p.grad.clone() for g in self.param_groups for p in g['params']]
        super().step(**kwargs)


@pytest.mark.parametrize(('cuts', 'reach'), [([], 1), (CUTS, 1), (CUTS, 2), (CUTS, 3)])
def test_gradients_and_statistics_are_the_same(both, image, cuts, reach):
    found = []
    for host in both(partition=cuts, reach=reach):
        optim = Kept(SGD(host.parameters(), lr=0.1), step_policy='joint')
        host.train_step(dict(inputs=image, data_samples=None), optim)
        found.append((optim.grads, host.state_dict()))
    (plain, before), (again, after) = found
    for one, other in zip(plain, again, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)
    assert before.keys() == after.keys()
    for name in before:
        torch.testing.assert_close(before[name], after[name], rtol=1e-10, atol=1e-14)
    tracked = [value for name, value in after.items() if name.endswith('num_batches_tracked')]
    # The host's first forward, in the fixture, was one.
    assert {int(value) for value in tracked} <= {1, 2}


def test_a_copy_runs_its_own_weights(make_host, image):
    host = make_host(partition=CUTS, recompute=True)
    other = copy.deepcopy(host)
    with torch.no_grad():
        for p in other.backbone.layer3.parameters():
            p.zero_()
    assert not torch.equal(host(image), other(image))


def test_it_needs_less_memory(make_host):
    peaks = []
    for again in (False, True):
        host = make_host(depth=50, dtype=torch.float32, partition=['layer2.3'], recompute=again)
        optim = BlockwiseOptimWrapper(SGD(host.parameters(), lr=0.0))
        inputs = dict(inputs=torch.randn(4, 3, 128, 128), data_samples=None)
        host.train_step(inputs, optim)
        with PeakMeter() as meter:
            host.train_step(inputs, optim)
        peaks.append(meter.peak_bytes)
    assert peaks[1] < 0.7 * peaks[0]
