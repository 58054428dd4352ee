"""Several processes train as one on the joined batch."""

import os
import socket
from functools import partial

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel, convert_sync_batchnorm
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD

from mmlocal.engine import BlockwiseOptimWrapper, LocalDataParallel
from mmlocal.engine.distributed import GradientReducer
from mmlocal.errors import ConfigError

pytestmark = pytest.mark.forks

CUTS = ['layer1.1', 'layer3.0']
STEPS = 20
STOCK = partial(MMDistributedDataParallel, find_unused_parameters=True)


def in_processes(work, count, *args):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.start_processes(begin, (count, port, work, *args), nprocs=count, start_method='fork')


def begin(rank, count, port, work, *args):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(count))
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    work(rank, count, *args)
    dist.destroy_process_group()


def train(make_loop, model, batches, **kwargs):
    """The gradients of the first step, seen by the optimizer, and the weights after all."""
    loop, first = make_loop(model, BlockwiseOptimWrapper(SGD(model.parameters(), lr=0.05), **kwargs)), {}

    def look(*_):
        for name, p in getattr(model, 'module', model).named_parameters():
            if p.grad is not None:
                first.setdefault(name, p.grad.clone())

    handle = loop.optim_wrapper.optimizer.register_step_pre_hook(look)
    per_step = kwargs.get('accumulative_counts', 1)
    for i, batch in enumerate(batches):
        loop.step(batch)
        if i + 1 == per_step:
            handle.remove()
    return dict(first=first, state=getattr(model, 'module', model).state_dict())


def work(rank, count, make_loop, host, wrap, batches, kwargs, folder):
    # Weights of the other processes differ at first: the wrapper takes those of the first one.
    if rank:
        for p in host.parameters():
            torch.nn.init.normal_(p)
    parts = [batch.chunk(count)[rank] for batch in batches]
    torch.save(train(make_loop, wrap(host), parts, **kwargs), f'{folder}/{rank}.pth')


@pytest.mark.integration
@pytest.mark.parametrize('wrap', [LocalDataParallel, STOCK], ids=['local', 'stock'])
@pytest.mark.parametrize(
    ('count', 'reach', 'kwargs'),
    [
        (2, 1, dict(step_policy='joint')),
        (2, 1, dict(step_policy='per_block')),
        (2, 1, dict(accumulative_counts=2)),
        (2, 2, dict(step_policy='joint')),
        (2, 2, dict(accumulative_counts=2)),
        (4, 1, dict(step_policy='per_block')),
        (4, 2, dict(step_policy='joint')),
    ],
    ids=lambda value: value if isinstance(value, int) else '-'.join(map(str, value.values())),
)
def test_processes_equal_one(make_host, make_loop, man_auxiliary, tmp_path, wrap, count, reach, kwargs):
    hosts = [make_host(partition=CUTS, auxiliary=man_auxiliary, norm_eval=True, reach=reach) for _ in range(2)]
    micro = kwargs.get('accumulative_counts', 1)
    batches = torch.randn(STEPS * micro, count, 3, 32, 32, dtype=torch.float64).unbind()
    expected = train(make_loop, hosts[0], batches, **kwargs)
    in_processes(work, count, make_loop, hosts[1], wrap, batches, kwargs, str(tmp_path))
    ranks = [torch.load(tmp_path / f'{rank}.pth') for rank in range(count)]
    assert expected['first'].keys() == ranks[0]['first'].keys()
    for part in ('first', 'state'):
        for name, value in expected[part].items():
            assert all(torch.equal(ranks[0][part][name], rank[part][name]) for rank in ranks), name
            torch.testing.assert_close(ranks[0][part][name], value, rtol=1e-10, atol=1e-11, msg=name)


VIT = dict(type='mmpretrain.VisionTransformer', img_size=32, patch_size=16, out_type='featmap', final_norm=True)
TINY = dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32)


@pytest.mark.integration
def test_weights_outside_of_units(make_host, make_loop, tmp_path):
    """Position embeddings and class token are stepped with the first block."""
    vit = dict(type='mmlocal.LocalBackbone', arch=dict(VIT, arch=TINY), partition=['layers.1', 'layers.2'])
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    hosts = [make_host(whole=dict(vit, auxiliary=auxiliary)) for _ in range(2)]
    batches = torch.randn(3, 2, 3, 32, 32, dtype=torch.float64).unbind()
    kwargs = dict(step_policy='per_block')
    expected = train(make_loop, hosts[0], batches, **kwargs)['state']
    in_processes(work, 2, make_loop, hosts[1], LocalDataParallel, batches, kwargs, str(tmp_path))
    found = torch.load(tmp_path / '0.pth')['state']
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-11, msg=name)


def test_batch_norm_over_processes(make_host, man_auxiliary):
    """Units, auxiliaries and copies are converted, copies go on following, and hooks stay. Training it needs a GPU."""
    host = make_host(partition=CUTS, auxiliary=man_auxiliary).eval()
    image = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    expected, hooks = host(image), hooks_of_units(host)
    converted = convert_sync_batchnorm(host).eval()
    norms = [m for m in converted.modules() if isinstance(m, _BatchNorm)]
    assert all(isinstance(norm, torch.nn.SyncBatchNorm) for norm in norms)
    assert any('.ema.' in name for name, m in converted.named_modules() if m in norms)
    for auxiliary, following in zip(
        converted.backbone.local_division.auxiliaries, ['layer2.0', 'layer3.1'], strict=True
    ):
        assert auxiliary.bridge.ema.source is converted.backbone.get_submodule(following)
    assert hooks_of_units(converted) == hooks
    torch.testing.assert_close(converted(image), expected)


def hooks_of_units(host):
    """Boundaries and links; what auxiliaries' norms do with a single value several processes need not."""
    return sum(len(m._forward_hooks) for m in host.modules() if not isinstance(m, _BatchNorm))


def test_a_stock_optimizer_wrapper_is_refused(make_host):
    from mmengine.optim import OptimWrapper

    host = make_host(partition=CUTS)
    with pytest.raises(ConfigError, match="'OptimWrapper' averages no gradients in a LocalDataParallel"):
        LocalDataParallel(host).train_step({}, OptimWrapper(SGD(host.parameters(), lr=0.1)))


def late(rank, count):
    """While the gradient is under way, and when it is back."""
    for back in (False, True):
        weight = torch.nn.Parameter(torch.ones(3))
        reducer = GradientReducer(dict(weight=weight))
        weight.grad = torch.ones(3) * rank
        reducer.start([weight])
        if back:
            reducer.wait()
        (weight * 2).sum().backward()
        with pytest.raises(RuntimeError, match='weight: a loss reached it after its gradient was sent'):
            reducer.finish()


def without(rank, count):
    """One that no process has a gradient of keeps none; one that some have is averaged over all."""
    none, some = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    some.grad = torch.ones(2) if rank else None
    reducer = GradientReducer(dict(none=none, some=some), bucket_bytes=1)
    reducer.finish()
    assert none.grad is None
    assert some.grad.tolist() == [0.5, 0.5]


def other_shapes(rank, count):
    with pytest.raises(ConfigError, match=r'^weight = torch.float32 of \(2, 2\) in rank 0, torch.float32 of \(3'):
        LocalDataParallel(torch.nn.Linear(2, 2 + rank))


@pytest.mark.integration
@pytest.mark.parametrize('check', [late, without, other_shapes])
def test_reducer(check):
    in_processes(check, 2)
