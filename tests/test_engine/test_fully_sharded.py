"""Processes that each hold a share of the weights train as one that holds them all."""

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.runner import FlexibleRunner
from torch.distributed.tensor import DTensor
from torch.optim import SGD, Adam

from mmlocal.engine import BlockwiseOptimWrapper, FullyShardedStrategy
from mmlocal.engine.distributed import shard_blocks
from mmlocal.errors import ConfigError

pytestmark = pytest.mark.forks

CUTS = ['layer1.1', 'layer3.0']
STEPS = 5


def in_processes(work, *args):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.start_processes(begin, (port, work, *args), nprocs=2, start_method='fork')


def begin(rank, port, work, *args):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK='0')
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    work(rank, *args)
    dist.destroy_process_group()


def wrapper_of(model, optimizer=SGD, **kwargs):
    return BlockwiseOptimWrapper(optimizer(model.parameters(), lr=0.01), **kwargs)


def train(make_loop, model, wrapper, batches):
    loop = make_loop(model, wrapper)
    for batch in batches:
        loop.step(batch)
    return model


def divided(module):
    return all(isinstance(p, DTensor) or p.dim() == 0 for p in module.parameters())


def work(rank, make_loop, host, batches, kwargs, folder):
    if rank:
        for p in host.parameters():
            torch.nn.init.normal_(p)
    shard_blocks(host)
    seen = []
    layers = [host.backbone.get_submodule(f'layer{i}') for i in range(1, 5)]
    last = layers[3].register_forward_pre_hook(lambda *_: seen.append([*map(divided, layers), divided(host.linear)]))
    train(make_loop, host, wrapper_of(host, **kwargs), [batch.chunk(2)[rank] for batch in batches])
    # When the last block runs, that block and what belongs to none are whole; `layer3` is in two blocks.
    assert seen == [[True, True, False, False, False]] * len(batches)
    assert divided(host)
    last.remove()
    with torch.no_grad():
        host(batches[0])
    assert divided(host)
    state = host.state_dict()
    whole = {key: value.full_tensor() if isinstance(value, DTensor) else value for key, value in state.items()}
    torch.save(whole, f'{folder}/{rank}.pth')


@pytest.mark.integration
@pytest.mark.parametrize(
    ('reach', 'kwargs'),
    [
        (1, dict(step_policy='joint')),
        (1, dict(step_policy='per_block')),
        (1, dict(accumulative_counts=2)),
        (2, dict(step_policy='joint')),
        (1, dict(clip_grad=dict(max_norm=0.1))),
    ],
    ids=str,
)
def test_processes_equal_one(make_host, make_loop, man_auxiliary, tmp_path, reach, kwargs):
    hosts = [make_host(partition=CUTS, auxiliary=man_auxiliary, norm_eval=True, reach=reach) for _ in range(2)]
    batches = torch.randn(STEPS + 1, 2, 3, 32, 32, dtype=torch.float64).unbind()
    start = {key: value.clone() for key, value in hosts[0].state_dict().items()}
    expected = train(make_loop, hosts[0], wrapper_of(hosts[0], **kwargs), batches).state_dict()
    in_processes(work, make_loop, hosts[1], batches, kwargs, str(tmp_path))
    found = torch.load(tmp_path / '0.pth')
    assert found.keys() == expected.keys()
    assert not any(
        torch.equal(start[key], expected[key]) for key in start if key.endswith('weight') and 'bn' not in key
    )
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-11, msg=name)


def strategy_of(host, folder, wrapper):
    strategy = FullyShardedStrategy(work_dir=folder, experiment_name='sharded', auto_scale_lr=None)
    strategy.prepare(host, optim_wrapper=wrapper)
    return strategy


def resume(rank, make_loop, hosts, batches, wrapper, folder):
    """Two steps, a checkpoint, and two more; another model goes on from the checkpoint."""
    parts = [batch.chunk(2)[rank] for batch in batches]
    first, second = (strategy_of(host, folder, wrapper) for host in hosts)
    loop = make_loop(first.model, first.optim_wrapper)
    for part in parts[:2]:
        loop.step(part)
    first.save_checkpoint(f'{folder}/half.pth', extra_ckpt=dict(meta=dict(iter=2)))
    dist.barrier()
    second.resume(f'{folder}/half.pth', resume_param_scheduler=False)
    again, states = make_loop(second.model, second.optim_wrapper), []
    for strategy, goes_on in ((first, loop), (second, again)):
        for part in parts[2:]:
            goes_on.step(part)
        states.append((strategy.model_state_dict(), strategy.optim_state_dict()['state']))
    if rank == 0:
        (mine, mine_of_optimizer), (other, other_of_optimizer) = states
        assert all(torch.equal(mine[key], other[key]) for key in mine)
        for i, entry in mine_of_optimizer.items():
            assert all(torch.equal(value, other_of_optimizer[i][key]) for key, value in entry.items())


@pytest.mark.integration
def test_checkpoints_are_those_of_one_process(make_host, make_loop, man_auxiliary, tmp_path):
    stock, *hosts = [make_host(partition=CUTS, auxiliary=man_auxiliary, norm_eval=True, seed=seed) for seed in range(3)]
    batches = torch.randn(4, 2, 3, 32, 32, dtype=torch.float64).unbind()
    wrapper = dict(type='mmlocal.BlockwiseOptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
    in_processes(resume, make_loop, hosts, batches, wrapper, str(tmp_path))
    checkpoint = torch.load(tmp_path / 'half.pth', weights_only=False)
    shapes = {key: value.shape for key, value in checkpoint['state_dict'].items()}
    assert shapes == {key: value.shape for key, value in stock.state_dict().items()}
    stock.load_state_dict(checkpoint['state_dict'])
    optimizer = Adam(stock.parameters())
    wrapped = BlockwiseOptimWrapper(optimizer)
    wrapped.load_state_dict(checkpoint['optimizer'])
    trained = [p for p in optimizer.param_groups[0]['params'] if p.requires_grad]
    assert all(optimizer.state[p]['exp_avg'].shape == p.shape for p in trained)


def test_what_is_refused(make_host):
    with pytest.raises(ConfigError, match='reconcile differentiates a gradient'):
        shard_blocks(make_host(partition=CUTS, reconcile=1.0, out_indices=(3,)))
    with pytest.raises(ConfigError, match='model_wrapper'):
        FullyShardedStrategy(model_wrapper=dict(type='MMDistributedDataParallel'))


VIT = dict(type='mmpretrain.VisionTransformer', img_size=32, patch_size=16, out_type='featmap', final_norm=True)
TINY = dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32)


def outside(rank, make_loop, host, batches, folder):
    shard_blocks(host)
    train(make_loop, host, wrapper_of(host, step_policy='per_block'), [batch.chunk(2)[rank] for batch in batches])
    found = {key: p.full_tensor() for key, p in host.named_parameters()}
    torch.save(found, f'{folder}/{rank}.pth')


@pytest.mark.integration
def test_weights_outside_of_units(make_host, make_loop, tmp_path):
    """Position embeddings and class token, whole during the iteration, are stepped with the first block."""
    vit = dict(type='mmlocal.LocalBackbone', arch=dict(VIT, arch=TINY), partition=['layers.1', 'layers.2'])
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    hosts = [make_host(whole=dict(vit, auxiliary=auxiliary)) for _ in range(2)]
    batches = torch.randn(3, 2, 3, 32, 32, dtype=torch.float64).unbind()
    expected = train(make_loop, hosts[0], wrapper_of(hosts[0], step_policy='per_block'), batches)
    in_processes(outside, make_loop, hosts[1], batches, str(tmp_path))
    found = torch.load(tmp_path / '0.pth')
    for name, value in expected.named_parameters():
        torch.testing.assert_close(found[name], value.data, rtol=1e-10, atol=1e-11, msg=name)


class Images(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        return dict(inputs=torch.full((3, 32, 32), i / 8, dtype=torch.float64))


def run(host, folder, resume):
    images = dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True))
    FlexibleRunner(
        model=host,
        work_dir=folder,
        experiment_name=os.path.basename(folder),
        launcher='pytorch',
        strategy=dict(type='mmlocal.FullyShardedStrategy'),
        train_dataloader=dict(images, dataset=Images(), collate_fn=torch.utils.data.default_collate),
        train_cfg=dict(type='mmlocal.ResumableEpochLoop', max_epochs=2),
        optim_wrapper=dict(type='mmlocal.BlockwiseOptimWrapper', optimizer=dict(type='Adam', lr=1e-3)),
        custom_hooks=[dict(type=f'mmlocal.{name}Hook') for name in ('Plan', 'ExactResume', 'Momentum')],
        resume=resume,
        randomness=dict(seed=1),
        log_level='ERROR',
    ).train()
    dist.barrier()


def run_twice(rank, hosts, folder):
    run(hosts[0], f'{folder}/whole', False)
    run(hosts[1], f'{folder}/resumed', f'{folder}/whole/epoch_1.pth')


@pytest.mark.integration
def test_runner_resumes_to_the_bit(make_host, man_auxiliary, tmp_path):
    hosts = [make_host(partition=CUTS, auxiliary=man_auxiliary, norm_eval=True, seed=seed) for seed in range(2)]
    in_processes(run_twice, hosts, str(tmp_path))
    runs = [torch.load(tmp_path / name / 'epoch_2.pth', weights_only=False) for name in ('whole', 'resumed')]
    assert runs[0]['local_plan'] == runs[1]['local_plan']
    for name, value in runs[0]['state_dict'].items():
        assert torch.equal(value, runs[1]['state_dict'][name]), name
