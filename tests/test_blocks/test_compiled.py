"""Compiled units train as they do uncompiled, to the last figure that a compiler may change."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from torch._dynamo.utils import counters
from torch.optim import SGD

from mmlocal.blocks.compiled import compile_report
from mmlocal.engine import BlockwiseOptimWrapper, PlanHook
from mmlocal.errors import ConfigError

CUTS = ['layer1.1', 'layer2.1', 'layer3.0']


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    counters.clear()
    donated = torch._functorch.config.donated_buffer
    yield
    torch._functorch.config.donated_buffer = donated
    torch._dynamo.reset()


@pytest.fixture
def both(make_host):
    """The same host twice, the second one compiled."""
    return lambda backend, **options: [make_host(**options, compile=c) for c in (False, dict(backend=backend))]


def train(host, image, policy='joint'):
    """Two steps: losses, and all that the state dict has."""
    optim = BlockwiseOptimWrapper(SGD(host.parameters(), lr=0.1), policy)
    losses = [host.train_step(dict(inputs=image), optim) for _ in range(2)]
    return losses, host.state_dict()


def assert_same(found, expected, **tolerance):
    for some, others in zip(found[0], expected[0], strict=True):
        assert some.keys() == others.keys()
        assert all(torch.allclose(some[name], others[name], **tolerance) for name in others)
    assert found[1].keys() == expected[1].keys()
    for name, value in expected[1].items():
        assert torch.allclose(found[1][name], value, **tolerance), name


@pytest.mark.parametrize(
    ('options', 'policy'),
    [
        ({}, 'per_block'),
        (dict(reach=2), 'joint'),
        (dict(overlap=1), 'joint'),
        (dict(recompute=True), 'joint'),
        (dict(recompute=True, reach=2), 'joint'),
    ],
    ids=str,
)
def test_training_is_the_same(both, image, options, policy):
    plain, compiled = both('aot_eager', partition=CUTS, **options)
    assert_same(train(compiled, image, policy), train(plain, image, policy), rtol=1e-12, atol=1e-12)
    assert counters['stats']['unique_graphs'] > 0


def test_momentum_copies_are_the_same(both, make_loop, man_auxiliary, image):
    hosts = both('eager', partition=CUTS, auxiliary=man_auxiliary)
    for host in hosts:
        loop = make_loop(host)
        for _ in range(2):
            loop.step(image)
    plain, compiled = (host.state_dict() for host in hosts)
    assert plain.keys() == compiled.keys()
    assert all(torch.equal(plain[name], compiled[name]) for name in plain)


def test_a_copy_runs_its_own_weights(make_host, image):
    host = make_host(partition=CUTS, compile=dict(backend='eager'))
    train(host, image)
    twin, before = copy.deepcopy(host), copy.deepcopy(host.state_dict())
    train(twin, image)
    assert all(torch.equal(host.state_dict()[name], before[name]) for name in before)
    train(host, image)
    assert all(torch.equal(host.state_dict()[name], twin.state_dict()[name]) for name in before)
    average = ExponentialMovingAverage(host)
    assert average.module.state_dict().keys() == before.keys()
    assert torch.equal(average.eval()(image), host.eval()(image))


def test_only_training_is_compiled(make_host, image):
    host = make_host(partition=CUTS, compile=dict(backend='eager'))
    torch._dynamo.reset()
    counters.clear()
    host.eval()(image)
    with torch.no_grad():
        host.train()(image)
    assert not counters['stats']


def test_graphs_and_breaks_are_told(make_host, image):
    host = make_host(partition=CUTS, compile=dict(backend='eager'))
    torch._dynamo.reset()
    counters.clear()
    hook, said = PlanHook(), []
    hook._is_reported = False
    runner = SimpleNamespace(model=host, logger=SimpleNamespace(info=said.append))
    for _ in range(2):
        train(host, image)
        hook.after_train_iter(runner, 0)
    # The two units of layer1 share a graph; in the other layers the first has a stride.
    assert said == ['torch.compile: 8 modules, 7 graphs, 0 breaks']


def test_a_break_is_told_with_its_reason(make_host, image):
    host = make_host(partition=CUTS, compile=dict(backend='eager'))
    host.backbone.layer2[0].relu.register_forward_hook(breaking)
    train(host, image)
    report = compile_report(host.backbone.local_division.compiled)
    assert ' breaks (' in report
    assert ', 0 breaks' not in report
    assert '\n' not in report


def breaking(_module, _args, output):
    torch._dynamo.graph_break()
    return output


@pytest.mark.parametrize(
    ('given', 'faults'),
    [
        ('yes', ["compile = 'yes' is neither True, False, nor a dict such as dict(backend='inductor')"]),
        (
            dict(backend='inductr', ful_graph=True),
            [
                "compile.ful_graph = True is not an argument of torch.compile. Did you mean 'fullgraph'?",
                "compile.backend = 'inductr' is not one of ",
            ],
        ),
    ],
)
def test_wrong_options_are_refused(make_host, given, faults):
    with pytest.raises(ConfigError) as error:
        make_host(partition=CUTS, compile=given)
    assert len(error.value.faults) == len(faults)
    assert all(found.startswith(said) for found, said in zip(error.value.faults, faults, strict=True))


def test_a_second_derivative_is_refused(make_host):
    with pytest.raises(ConfigError, match='compile does not go with reconcile, which takes a second derivative'):
        make_host(partition=CUTS, compile=True, reconcile=0.1)
