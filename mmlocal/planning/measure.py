"""Several ways to train, each in a process of its own, their steps in turn."""

from __future__ import annotations

import multiprocessing
import platform
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmlocal.errors import ConfigError, reason
from mmlocal.planning.variants import Variant

__all__ = ['Measured', 'machine', 'measure']


@dataclass
class Measured:
    """Of one way to train.

    Args:
        name: of the variant.
        peak_bytes: of one step, above weights and optimizer state.
        static_bytes: weights, buffers and optimizer state.
        seconds: of each timed step.
        reserved_bytes: what the caching allocator held, on CUDA.
    """

    name: str
    peak_bytes: int
    static_bytes: int
    reserved_bytes: int | None = None
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Seconds of a step."""
        return statistics.median(self.seconds)


def machine(device: str = 'cpu') -> str:
    """Hardware and versions, in a few words."""
    name = torch.cuda.get_device_name() if device == 'cuda' else f'{torch.get_num_threads()} threads'
    return f'{name}, torch {torch.__version__}, {platform.machine()}'


def measure(
    ways: Sequence[Variant], shape: tuple[int, int, int], batch: int, rounds: int, device: str = 'cpu'
) -> list[Measured]:
    """Peaks, and times of steps that alternate, so that all meet the same state of the machine.

    Args:
        ways: what is compared.
        shape: channels, height and width of the images.
        batch: images.
        rounds: timed steps of each.
        device: `cpu` or `cuda`.

    Raises:
        ConfigError: if one of them cannot be run; named.
    """
    # Not forked: a process keeps nothing of another's memory, and CUDA starts afresh.
    context = multiprocessing.get_context('spawn')
    with tempfile.TemporaryDirectory() as folder:
        workers = [_Worker(context, way, i, folder, (shape, batch, device)) for i, way in enumerate(ways)]
        try:
            found = [worker.answer() for worker in workers]
            for _ in range(rounds):
                for worker, one in zip(workers, found, strict=True):
                    worker.connection.send('step')
                    one.seconds.append(worker.answer())
        finally:
            for worker in workers:
                worker.process.kill()
    return found


class _Worker:
    def __init__(self, context: Any, way: Variant, index: int, folder: str, arguments: tuple[Any, ...]) -> None:
        path = Path(folder) / f'{index}.py'
        way.cfg.dump(path)
        self.name = way.name
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, way.name, str(path), way.amp, *arguments))
        self.process.start()
        theirs.close()

    def answer(self) -> Any:
        try:
            answer = self.connection.recv()
        except EOFError:
            raise ConfigError(f'{self.name}: its process ended, perhaps for want of memory') from None
        if isinstance(answer, ConfigError):
            raise ConfigError(*(f'{self.name}: {fault}' for fault in answer.faults))
        return answer


def _work(
    connection: Connection, name: str, path: str, amp: bool, shape: tuple[int, int, int], batch: int, device: str
) -> None:
    from mmlocal.hosts import import_hosts
    from mmlocal.planning.training_step import TrainingStep

    try:
        cfg = Config.fromfile(path)
        import_hosts(cfg)
        step = TrainingStep(cfg, shape, batch, device, amp=amp)
        connection.send(Measured(name, step.peak_bytes(), step.static_bytes(), step.reserved_bytes()))
        while connection.recv() == 'step':
            connection.send(step.run())
    except ConfigError as error:
        connection.send(error)
    except Exception as error:  # hosts raise what they like; the parent tells whose it was
        connection.send(ConfigError(reason(error)))
