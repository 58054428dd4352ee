"""Two processes train as one on the joined batch."""

import os
import socket

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from torch.optim import SGD

from mmlocal.engine import BlockwiseOptimWrapper, MomentumHook

CUTS = ['layer1.1', 'layer3.0']


class Loop:
    """What the momentum hook needs of a runner."""

    def __init__(self, model):
        self.model = model
        self.optim_wrapper = BlockwiseOptimWrapper(optimizer=SGD(model.parameters(), lr=0.1))
        MomentumHook().before_train(self)


def train(model, batches):
    loop = Loop(model)
    for batch in batches:
        model.train_step(dict(inputs=batch, data_samples=None), loop.optim_wrapper)


def work(rank, port, host, batches, folder):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE='2')
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    train(MMDistributedDataParallel(host, find_unused_parameters=True), [batch.chunk(2)[rank] for batch in batches])
    torch.save(host.state_dict(), f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.mark.integration
def test_two_processes_equal_one(make_host, man_auxiliary, tmp_path):
    hosts = [make_host(partition=CUTS, auxiliary=man_auxiliary, norm_eval=True) for _ in range(2)]
    batches = torch.randn(3, 4, 3, 64, 64, dtype=torch.float64).unbind()
    train(hosts[0], batches)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.start_processes(work, (port, hosts[1], batches, str(tmp_path)), nprocs=2, start_method='fork')
    ranks = [torch.load(tmp_path / f'{rank}.pth') for rank in range(2)]
    for name, value in hosts[0].state_dict().items():
        assert torch.equal(ranks[0][name], ranks[1][name]), name
        torch.testing.assert_close(ranks[0][name], value, rtol=1e-10, atol=1e-12, msg=name)
