"""Two processes train as one on the joined batch."""

import os
import socket

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel

CUTS = ['layer1.1', 'layer3.0']


def train(loop, batches):
    for batch in batches:
        loop.step(batch)


def work(rank, port, make_loop, host, batches, folder):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE='2')
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    wrapped = MMDistributedDataParallel(host, find_unused_parameters=True)
    train(make_loop(wrapped), [batch.chunk(2)[rank] for batch in batches])
    torch.save(host.state_dict(), f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.mark.integration
def test_two_processes_equal_one(make_host, make_loop, man_auxiliary, tmp_path):
    hosts = [make_host(partition=CUTS, auxiliary=man_auxiliary, norm_eval=True) for _ in range(2)]
    batches = torch.randn(3, 4, 3, 64, 64, dtype=torch.float64).unbind()
    train(make_loop(hosts[0]), batches)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.start_processes(work, (port, make_loop, hosts[1], batches, str(tmp_path)), nprocs=2, start_method='fork')
    ranks = [torch.load(tmp_path / f'{rank}.pth') for rank in range(2)]
    for name, value in hosts[0].state_dict().items():
        assert torch.equal(ranks[0][name], ranks[1][name]), name
        torch.testing.assert_close(ranks[0][name], value, rtol=1e-10, atol=1e-12, msg=name)
