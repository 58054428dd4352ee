"""What a run is made of beside weights and optimizer: random states, place in the data, versions, schedules."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.dist import get_world_size
from mmengine.runner import Runner

from mmlocal.hosts import HOSTS
from mmlocal.randomness import random_state, set_random_state

__all__ = ['data_position', 'differences', 'ends', 'random_state', 'schedule_text', 'set_random_state', 'versions']

_PACKAGES = ('torch', 'numpy', 'mmengine', 'mmcv', 'mmlocal', *HOSTS)


def versions() -> dict[str, str]:
    """Versions of what is imported and has a say in the numbers."""
    loaded = {name: sys.modules[name] for name in _PACKAGES if name in sys.modules}
    return {name: str(getattr(module, '__version__', 'unknown')) for name, module in loaded.items()}


def data_position(runner: Runner, epoch: int, iteration: int) -> dict[str, Any]:
    """How far the data have been read, and what the order of them depends on."""
    loader = runner.train_dataloader
    position = {
        'epoch': epoch,
        'iteration': iteration,
        'batch_size': loader.batch_size,
        'processes': get_world_size(),
        'sampler_seed': getattr(loader.sampler, 'seed', None),
    }
    if hasattr(loader.dataset, '__len__'):
        position |= {'samples': len(loader.dataset), 'batch_of_epoch': iteration - epoch * len(loader)}
    return position


def differences(old: Mapping[str, Any], new: Mapping[str, Any], names: tuple[str, ...] = ()) -> list[str]:
    """What differs between two states of a run, in words; of `names`, or of all that both tell.

    Example:
        >>> differences({'torch': '2.10.0', 'numpy': '2.2.6'}, {'torch': '2.11.0'})
        ['torch 2.10.0, now 2.11.0']
    """
    both = [name for name in names or old if name in old and name in new]
    return [f'{name.replace("_", " ")} {old[name]}, now {new[name]}' for name in both if old[name] != new[name]]


def _schedulers(runner: Runner) -> Iterator[Any]:
    found = runner.param_schedulers or []
    for one in found.values() if isinstance(found, Mapping) else [found]:
        yield from one


def ends(runner: Runner) -> list[int | None]:
    """Epoch or iteration at which each schedule ends; of one that is not built yet it is not known."""
    return [getattr(scheduler, 'end', None) for scheduler in _schedulers(runner)]


def schedule_text(runner: Runner, old: int, new: int, unit: str, configured: list[int | None]) -> str:
    """What a resumed run of another length does to the schedules: it keeps theirs, as mmengine does.

    Args:
        runner: resumed.
        old: length of the run that made the checkpoint.
        new: length of this one.
        unit: `epochs` or `iterations`.
        configured: `ends` by the config, before the checkpoint's were loaded.
    """
    said = []
    for scheduler, asked in zip(_schedulers(runner), configured, strict=True):
        place = 'epoch' if scheduler.by_epoch else 'iteration'
        wanted = '' if asked in (None, scheduler.end) else f' (the config says {asked}: not used)'
        # A schedule without an end has a very large one.
        end = f'ends at {place} {scheduler.end}{wanted}' if scheduler.end < 10**9 else 'has no end'
        said.append(f'{type(scheduler).__name__} {end}')
    kept = '; '.join(said) or 'there are none'
    return (
        f'resume: {new} {unit} in place of {old}. The schedules stay those of the checkpoint: {kept}. '
        'Behind its end a schedule leaves its parameter as it is then. For the schedules of the config, '
        'start from the weights with load_from'
    )
