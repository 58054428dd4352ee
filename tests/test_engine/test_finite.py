"""Losses that are not finite are named, and nothing was stepped."""

import copy
import logging

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.structures import BaseDataElement
from torch.optim import SGD

from mmlocal.engine import BlockwiseOptimWrapper
from mmlocal.errors import ConfigError, NonFiniteLossError

CUTS = ['layer1.1', 'layer3.0']
NAN = float('nan')


@pytest.fixture(autouse=True)
def fifth_iteration():
    MessageHub.get_current_instance().update_info('iter', 4)


@pytest.fixture(params=['joint', 'per_block'])
def policy(request):
    return request.param


def samples(*labels):
    found = [BaseDataElement(metainfo=dict(img_path=f'{i}.jpg')) for i in range(len(labels))]
    for sample, label in zip(found, labels, strict=True):
        sample.gt = torch.tensor([label])
    return found


def failure(host, inputs, data_samples, policy, **kwargs):
    """What is told; the weights, the copies' too, are as before."""
    optim = BlockwiseOptimWrapper(SGD(host.parameters(), lr=0.1), step_policy=policy, **kwargs)
    before = copy.deepcopy({name: p.detach() for name, p in host.named_parameters()})
    with pytest.raises(NonFiniteLossError) as error:
        host.train_step(dict(inputs=inputs, data_samples=data_samples), optim)
    for name, p in host.named_parameters():
        torch.testing.assert_close(p, before[name], rtol=0, atol=0, equal_nan=True)
    return str(error.value).split('\n')


def test_an_image(make_host, image, policy):
    image[1, 0, 5, 5] = NAN
    told = failure(make_host(partition=CUTS), image, samples(0.0, 0.0), policy)
    assert told[0].startswith('iteration 5: block1.loss_square = nan')
    assert told[1:] == ['  not finite in the images: 1.jpg', '  batch: 0.jpg, 1.jpg']


@pytest.fixture
def labelled(make_host):
    """A host whose local heads have the labels in their losses."""
    host = make_host(partition=CUTS)
    for auxiliary in host.backbone.local_division.auxiliaries:
        stock = auxiliary.head.loss

        def loss(feature, inputs, data_samples, stock=stock):
            labels = torch.stack([sample.gt for sample in data_samples])
            return {**stock(feature, inputs, data_samples), 'loss_label': labels.double().mean()}

        auxiliary.head.loss = loss
    return host


def test_a_label(labelled, image, policy):
    told = failure(labelled, image, samples(NAN, 1.0), policy)
    assert told[0].startswith('iteration 5: block1.loss_label = nan')
    assert told[1:] == ['  not finite in the annotations: 0.jpg', '  batch: 0.jpg, 1.jpg']


def test_a_weight(make_host, image, policy):
    host = make_host(partition=CUTS)
    with torch.no_grad():
        host.backbone.layer2[0].conv1.weight[0, 0, 0, 0] = float('inf')
    told = failure(host, image, samples(0.0, 0.0), policy)
    first = 'before the first block' if policy == 'per_block' else 'block2.loss_square = nan, loss = nan'
    assert told[:2] == [
        f'iteration 5: {first}',
        '  not finite in the weights: backbone.layer2.0.conv1.weight',
    ]


def test_the_models_own_loss(make_host, image, policy):
    host = make_host(partition=CUTS)
    host.linear.register_forward_hook(lambda _module, _args, output: output * NAN)
    optim = BlockwiseOptimWrapper(SGD(host.parameters(), lr=0.1), step_policy=policy)
    own = host.linear.weight.clone()
    with pytest.raises(NonFiniteLossError, match='iteration 5: loss = nan\n  batch: without annotations'):
        host.train_step(dict(inputs=image, data_samples=None), optim)
    assert torch.equal(host.linear.weight, own)


def test_skipping(make_host, image, policy, caplog):
    """The batch moves nothing and is counted; the next one trains as if it had not been there."""
    MessageHub.get_current_instance().log_scalars.pop('train/skipped', None)  # of other tests
    hosts = [make_host(partition=CUTS) for _ in range(2)]
    optims = [
        BlockwiseOptimWrapper(SGD(h.parameters(), lr=0.1), step_policy=policy, on_nonfinite='skip') for h in hosts
    ]
    with caplog.at_level(logging.WARNING):
        hosts[0].train_step(dict(inputs=image * NAN, data_samples=samples(0.0, 0.0)), optims[0])
    hub = MessageHub.get_current_instance()
    assert hub.get_scalar('train/skipped').current() == 1
    for host, optim in zip(hosts, optims, strict=True):
        for module in host.modules():  # statistics have seen the broken batch
            if hasattr(module, 'running_mean'):
                module.reset_running_stats()
        host.train_step(dict(inputs=image, data_samples=samples(0.0, 0.0)), optim)
    for name, value in hosts[1].state_dict().items():
        assert torch.equal(hosts[0].state_dict()[name], value), name


def test_ignoring(make_host, image, policy):
    optim_wrapper = dict(step_policy=policy, on_nonfinite='ignore')
    host = make_host(partition=CUTS)
    host.train_step(
        dict(inputs=image * NAN, data_samples=None),
        BlockwiseOptimWrapper(SGD(host.parameters(), lr=0.1), **optim_wrapper),
    )
    assert host.linear.weight.isnan().any()


def test_skipping_does_not_accumulate(make_host):
    with pytest.raises(ConfigError, match="accumulative_counts = 2 does not go with on_nonfinite = 'skip'"):
        failure(make_host(partition=CUTS), None, None, 'joint', on_nonfinite='skip', accumulative_counts=2)


def test_an_unknown_answer(make_host):
    with pytest.raises(ConfigError, match="on_nonfinite = 'warn' is not one of stop, skip, ignore"):
        failure(make_host(partition=CUTS), None, None, 'joint', on_nonfinite='warn')
