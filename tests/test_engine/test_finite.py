"""Losses that are not finite are named, and nothing was stepped."""

import copy
import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.structures import BaseDataElement
from torch.amp.grad_scaler import GradScaler
from torch.optim import SGD

from mmlocal.auxiliaries import CopyBridge, MomentumCopy
from mmlocal.engine import BlockwiseOptimWrapper, MomentumHook
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
        host.train_step(dict(inputs=image, data_samples=samples(0.0, 0.0)), optim)
    for name, value in hosts[1].state_dict().items():
        assert torch.equal(hosts[0].state_dict()[name], value), name


WAYS = {
    'joint': dict(step_policy='joint'),
    'a block at a time': dict(step_policy='per_block'),
    'clipped': dict(clip_grad=dict(max_norm=0.1)),
    'scaled': dict(type='mmlocal.BlockwiseAmpOptimWrapper', dtype='float16', loss_scaler=True),
}
BROKEN = ('image', 'loss of block1', 'loss of block2', 'main loss')


@pytest.mark.parametrize('reach', [1, 2])
@pytest.mark.parametrize('where', BROKEN)
@pytest.mark.parametrize('way', WAYS)
def test_a_skipped_iteration_leaves_no_trace(make_host, man_auxiliary, way, where, reach):
    """A broken batch among others: weights, statistics, copies, optimizer, scaler and draws are as without it."""
    batches = [torch.randn(2, 3, 32, 32, dtype=torch.float64) for _ in range(4)]
    runs = [trained(make_host, man_auxiliary, batches, way, reach, broken) for broken in (where, None)]
    for part, one, other in zip(('model', 'optimizer', 'drawn'), *runs, strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            assert torch.equal(torch.as_tensor(one[name]), torch.as_tensor(value)), (part, name)


def trained(make_host, man_auxiliary, batches, way, reach, broken):
    """The state after batches, between which one is broken."""
    torch.manual_seed(0)
    host = make_host(partition=CUTS, auxiliary=man_auxiliary, reach=reach)
    wrapper = dict(WAYS[way], on_nonfinite='skip', constructor='mmlocal.LocalOptimWrapperConstructor')
    if wrapper.pop('loss_scaler', False):
        wrapper['loss_scaler'] = GradScaler('cpu', init_scale=64.0, growth_interval=2)
    optim = build_optim_wrapper(
        host,
        dict(
            {'type': 'mmlocal.BlockwiseOptimWrapper', **wrapper},
            optimizer=dict(type='SGD', lr=0.1, momentum=0.9),
        ),
    )
    for module in host.modules():
        if isinstance(module, (CopyBridge, MomentumCopy)):
            module.start()
    move = MomentumHook()
    move.before_train(SimpleNamespace(model=host, optim_wrapper=optim))
    for i, batch in enumerate(batches):
        if i == 2 and broken:
            step_broken(host, optim, batch, broken)
        host.train_step(dict(inputs=batch, data_samples=samples(0.0, 0.0)), optim)
    state = optim.state_dict()
    told = {f'{i} {key}': v for i, entry in state['state'].items() for key, v in entry.items() if v is not None}
    told |= {key: v for key, v in state.get('loss_scaler', {}).items() if isinstance(v, (int, float))}
    return host.state_dict(), told, dict(torch=torch.get_rng_state())


def step_broken(host, optim, batch, where):
    """An iteration with a loss that is not finite, and draws of its own."""
    heads = [auxiliary.head for auxiliary in host.backbone.local_auxiliaries]
    broken = dict(zip(('loss of block1', 'loss of block2'), heads, strict=True)) | {'main loss': host}
    if where == 'image':
        host.train_step(dict(inputs=batch * NAN, data_samples=samples(0.0, 0.0)), optim)
        return
    owner, name = broken[where], 'forward' if where == 'main loss' else 'loss'
    stock = getattr(owner, name)

    def spoiled(*args, **kwargs):
        losses = stock(*args, **kwargs)
        torch.rand(3)
        return {key: value * NAN if 'loss' in key else value for key, value in losses.items()}

    setattr(owner, name, spoiled)
    host.train_step(dict(inputs=batch, data_samples=samples(0.0, 0.0)), optim)
    delattr(owner, name)


def test_a_network_that_is_not_finite_stops_a_run_that_skips(make_host, image):
    host = make_host(partition=CUTS)
    optim = BlockwiseOptimWrapper(SGD(host.parameters(), lr=0.1), on_nonfinite='skip')
    with torch.no_grad():
        host.backbone.layer2[0].conv1.weight[0, 0, 0, 0] = NAN
    with pytest.raises(NonFiniteLossError, match=r'the network itself is not finite(.|\n)*layer2\.0\.conv1'):
        host.train_step(dict(inputs=image, data_samples=samples(0.0, 0.0)), optim)


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
