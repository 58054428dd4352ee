"""Scaling, counting and step policies."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch.optim import SGD, AdamW

from mmlocal.engine import BlockwiseOptimWrapper
from mmlocal.errors import ConfigError

CUTS = ['layer1.1', 'layer3.0']


def train(host, batches, optimizer=SGD, **kwargs):
    optim = BlockwiseOptimWrapper(optimizer=optimizer(host.parameters(), lr=0.01), **kwargs)
    for batch in batches:
        host.train_step(dict(inputs=batch, data_samples=None), optim)
    return host.state_dict()


def assert_close(found, expected):
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-11, atol=1e-13, msg=name)


def test_four_times_four_is_sixteen(make_host):
    """Batch-norm in evaluation, so that an image does not depend on its batch."""
    batch = torch.randn(16, 3, 64, 64, dtype=torch.float64)
    hosts = [make_host(partition=CUTS, norm_eval=True) for _ in range(2)]
    whole = train(hosts[0], [batch, -batch])
    parts = [*batch.chunk(4), *(-batch).chunk(4)]
    assert_close(train(hosts[1], parts, accumulative_counts=4), whole)


def test_accumulating_with_reach_2(make_host):
    batch = torch.randn(8, 3, 64, 64, dtype=torch.float64)
    hosts = [make_host(partition=CUTS, norm_eval=True, reach=2) for _ in range(2)]
    assert_close(train(hosts[1], batch.chunk(2), accumulative_counts=2), train(hosts[0], [batch]))


@pytest.mark.parametrize('optimizer', [SGD, AdamW])
def test_stepping_per_block_is_the_same_training(make_host, image, optimizer):
    hosts = [make_host(partition=CUTS) for _ in range(2)]
    joint = train(hosts[0], [image] * 3, optimizer, step_policy='joint')
    per_block = train(hosts[1], [image] * 3, optimizer, step_policy='per_block')
    assert all(torch.equal(per_block[name], value) for name, value in joint.items())


def test_per_block_does_not_accumulate(make_host):
    with pytest.raises(ConfigError, match="accumulative_counts = 4 does not go with step_policy 'per_block'"):
        train(make_host(partition=CUTS), [], step_policy='per_block', accumulative_counts=4)


def test_per_block_needs_reach_1(make_host, image):
    with pytest.raises(ConfigError, match="'per_block' needs reach = 1"):
        train(make_host(partition=CUTS, reach=2), [image], step_policy='per_block')


@pytest.mark.parametrize(
    ('reach', 'kwargs', 'policy'),
    [
        (1, {}, 'per_block'),
        (2, {}, 'joint'),
        (1, dict(accumulative_counts=2), 'joint'),
        (1, dict(clip_grad=dict(max_norm=1.0)), 'joint'),
        (1, dict(step_policy='joint'), 'joint'),
    ],
)
def test_auto_steps_per_block_where_that_is_the_same_training(make_host, reach, kwargs, policy):
    host = make_host(partition=CUTS, reach=reach)
    optim = BlockwiseOptimWrapper(optimizer=SGD(host.parameters(), lr=0.01), **kwargs)
    assert optim.step_policy(host.backbone.local_division.isolated) == policy


def test_an_unknown_policy_is_refused(make_host):
    with pytest.raises(ConfigError, match="step_policy = 'blockwise' is not one of auto, joint, per_block"):
        train(make_host(partition=CUTS), [], step_policy='blockwise')


def test_an_iteration_is_counted_once(make_host, image):
    host = make_host(partition=CUTS)
    optim = BlockwiseOptimWrapper(optimizer=SGD(host.parameters(), lr=0.01), accumulative_counts=3)
    steps = []
    optim.optimizer.register_step_post_hook(lambda *_: steps.append(optim.inner_count))
    for _ in range(6):
        host.train_step(dict(inputs=image, data_samples=None), optim)
    assert steps == [3, 6]


def test_gradients_of_all_blocks_are_clipped_together(make_host, image):
    host = make_host(partition=CUTS)
    optim = BlockwiseOptimWrapper(optimizer=SGD(host.parameters(), lr=1.0), clip_grad=dict(max_norm=1e-3))
    before = [p.detach().clone() for p in host.parameters()]
    host.train_step(dict(inputs=image, data_samples=None), optim)
    moved = torch.cat([(p - old).flatten() for p, old in zip(host.parameters(), before, strict=True)])
    torch.testing.assert_close(moved.norm().item(), 1e-3, rtol=1e-3, atol=0)


def test_local_losses_are_logged_and_not_added_to_the_models_own(make_host, image):
    host = make_host(partition=CUTS)
    optim = BlockwiseOptimWrapper(optimizer=SGD(host.parameters(), lr=0.01))
    logs = host.train_step(dict(inputs=image, data_samples=None), optim)
    assert set(logs) == {'loss'}
    scalars = optim.message_hub.log_scalars
    for name in ('train/block1.loss_square', 'train/block2.loss_square', 'train/block2.acc'):
        assert scalars[name].current() >= 0


def test_a_model_without_local_backbone_trains_as_usual(make_host, image):
    hosts = [make_host() for _ in range(2)]
    local = train(hosts[0], [image] * 2)
    optim = OptimWrapper(optimizer=SGD(hosts[1].parameters(), lr=0.01))
    for _ in range(2):
        hosts[1].train_step(dict(inputs=image, data_samples=None), optim)
    assert all(torch.equal(local[name], value) for name, value in hosts[1].state_dict().items())


def test_the_model_does_not_hold_the_optimizer(make_host, image):
    """`EMAHook` would copy it with the model."""
    import gc

    host = make_host(partition=CUTS)
    train(host, [image])
    seen, todo = set(), [host]
    while todo:
        thing = todo.pop()
        assert not isinstance(thing, (torch.optim.Optimizer, OptimWrapper))
        for other in gc.get_referents(thing):
            if id(other) not in seen and not isinstance(other, (type, type(gc), type(train))):
                seen.add(id(other))
                todo.append(other)
