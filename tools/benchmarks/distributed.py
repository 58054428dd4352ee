"""What overlapping buys: a step in several processes over a slow network, by our wrapper and by stock DDP.

    make bench-distributed
    python tools/benchmarks/distributed.py configs/man/vit-small_man-plus-plus_imagenet.py --batch 2 --shape 3 224 224

The network is slowed in the communication hook of both: one wire, on which all gradients of a step take as long as
the step's own work. Every process has one thread. Writes docs/results/distributed.md.
"""

import argparse
import datetime
import os
import socket
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel

from mmlocal.cli import exit_with_message, load_config
from mmlocal.commands.arguments import add_config_arguments
from mmlocal.engine import LocalDataParallel
from mmlocal.engine.distributed.reducer import all_reduce
from mmlocal.planning import TrainingStep

ROOT = Path(__file__).parents[2]
OUT = ROOT / 'docs' / 'results' / 'distributed.md'


class Wire:
    """One after the other, each as long as its bytes take."""

    def __init__(self):
        self.seconds_per_byte = 0.0
        self._carrier = ThreadPoolExecutor(1)

    def __call__(self, flat, group):
        """A hook of `LocalDataParallel`."""
        sent, arrived = all_reduce(flat, group), torch.futures.Future()

        def carry():
            value = sent.wait()
            time.sleep(flat.nbytes * self.seconds_per_byte)
            arrived.set_result(value[0])

        self._carrier.submit(carry)
        return arrived

    def stock(self, group, bucket):
        """A hook of `DistributedDataParallel`."""
        return self(bucket.buffer().div_(dist.get_world_size()), group)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'config', nargs='?', default=str(ROOT / 'configs' / 'man' / 'vit-small_man-plus-plus_imagenet.py')
    )
    parser.add_argument('--shape', type=int, nargs=3, default=(3, 224, 224), metavar=('C', 'H', 'W'))
    parser.add_argument('--batch', type=int, default=2, help='images of each process')
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=7, help='timed steps of each')
    add_config_arguments(parser)
    return parser.parse_args()


def stepping(cfg, args, policy, wrap):
    cfg.optim_wrapper.step_policy = policy
    step = TrainingStep(cfg, tuple(args.shape), args.batch)
    step.model = wrap(step.model)
    return step


def seconds(steps, rounds):
    """Medians of steps in turn."""
    times = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            dist.barrier()
            taken = step.run()
            if turn:  # the first one warms up
                times[name].append(taken)
    return {name: statistics.median(taken) for name, taken in times.items()}


def work(rank, port, cfg, args, results):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(args.processes))
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    wire = Wire()

    def stock(model):
        wrapped = MMDistributedDataParallel(model, find_unused_parameters=True)
        wrapped.register_comm_hook(None, wire.stock)
        return wrapped

    def ours(model):
        return LocalDataParallel(model, comm_hook=wire)

    steps = {
        'MMDistributedDataParallel, joint': stepping(cfg, args, 'joint', stock),
        'LocalDataParallel, joint': stepping(cfg, args, 'joint', ours),
        'LocalDataParallel, per_block': stepping(cfg, args, 'per_block', ours),
    }
    fast = seconds(steps, args.rounds)
    nbytes = sum(p.nbytes for p in steps['LocalDataParallel, joint'].model.parameters() if p.requires_grad)
    rate = torch.tensor(fast['LocalDataParallel, joint'] / nbytes)
    dist.broadcast(rate, 0)
    wire.seconds_per_byte = float(rate)
    slow = seconds(steps, args.rounds)
    if rank == 0:
        results.put((nbytes, fast, slow))
    dist.barrier()
    dist.destroy_process_group()


def page(args, nbytes, fast, slow):
    stock = next(iter(fast))
    lines = '\n'.join(
        f'| {name} | {fast[name]:.2f} | {slow[name]:.2f} | {slow[stock] / slow[name]:.2f} |' for name in fast
    )
    wire = fast['LocalDataParallel, joint']
    config, today = Path(args.config).absolute().relative_to(ROOT), datetime.date.today().isoformat()
    return f"""# Several processes

`make bench-distributed`, {today}; `{config}`, {args.processes} processes of one thread each,
{args.batch} images of {'x'.join(map(str, args.shape))} each; torch {torch.__version__}, gloo, CPU. Medians of
{args.rounds} steps in turn, in seconds. On the slow network the {nbytes / 2**20:.0f} MiB of gradients take
{wire:.2f} s on one wire, as long as the step's own work; the delay is in the communication hook of both wrappers.

| | fast network | slow network | times as fast as stock DDP |
|---|---|---|---|
{lines}

Stock DDP sends the gradients of finished blocks when the forward has ended; `LocalDataParallel` when a block's
backward has, so that they travel under the blocks behind it.
"""


@exit_with_message
def main():
    args = parse_args()
    cfg = load_config(args)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    results = mp.get_context('fork').SimpleQueue()
    mp.start_processes(work, (port, cfg, args, results), nprocs=args.processes, start_method='fork')
    text = page(args, *results.get())
    OUT.write_text(text)
    sys.stdout.write(text)


if __name__ == '__main__':
    main()
