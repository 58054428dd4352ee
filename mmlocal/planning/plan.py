"""From `Balanced` and `Budget` to a list of cuts, before anything is trained."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from mmlocal.config import auxiliaries_of, find_backbone, is_planned, written_config
from mmlocal.errors import ConfigError
from mmlocal.memory import Ledger
from mmlocal.planning.costs import count_costs
from mmlocal.planning.cuts import balanced_cuts
from mmlocal.planning.images import image_batch
from mmlocal.planning.training_step import TrainingStep, estimate
from mmlocal.randomness import undisturbed

__all__ = ['parse_bytes', 'plan']

_UNITS = {'': 1, 'K': 10**3, 'M': 10**6, 'G': 10**9, 'Ki': 2**10, 'Mi': 2**20, 'Gi': 2**30}
# Predictions are right within some percent.
_NEAR, _TRIES = 1.04, 3
_CHUNKS = 4


@undisturbed()
def plan(cfg: Config, checkpoint: str | None = None) -> Config:
    """Put the cuts in the place of `Balanced` or `Budget`; any other config stays as it is.

    Costs are counted in one step of which no kernel runs, with a cut behind every unit that can end a block, at the
    size of the config's own images (or `shape` and `batch` of the partition), neck and heads included. The same
    config gives the same plan.

    Args:
        cfg: a localized config.
        checkpoint: of a run that is resumed or tested: its plan is taken as it was.

    Raises:
        ConfigError: if nothing fits the budget (naming the floor and what makes it), the network cannot be cut, or the
            size of the images is not known.
    """
    if not is_planned(cfg):
        return cfg
    cfg = copy.deepcopy(cfg)
    backbone = find_backbone(cfg)[1]  # type: ignore[index]
    if checkpoint and _take_plan(backbone, checkpoint):
        return cfg
    partition = dict(backbone.partition)
    otherwise = partition.pop('otherwise', None)
    try:
        return _planned(cfg, backbone, partition)
    except ConfigError as error:
        if otherwise is None:
            raise
        why = ' '.join(fault.strip() for fault in error.faults)
    print_log(f'Cuts by {otherwise}, as those of least memory cannot be planned: {why}', 'current', logging.WARNING)
    backbone.partition = ConfigDict(type=otherwise, num_blocks=partition['num_blocks'])
    return cfg


def _planned(cfg: Config, backbone: Any, partition: dict[str, Any]) -> Config:
    shape, batch = image_batch(cfg, partition)
    if partition['type'] == 'Balanced':
        cuts, peak = balanced_cuts(count_costs(cfg, shape, batch), partition['num_blocks'])
        backbone.partition = cuts
    else:
        peak = _fit(cfg, backbone, parse_bytes(partition['peak']), shape, batch)
    images = 'x'.join(map(str, (batch, *shape)))
    found = ', '.join(backbone.partition) or 'no cuts'
    print_log(f'Planned for {images}, about {peak / 2**20:.0f} MiB above the weights: {found}', 'current')
    return cfg


def parse_bytes(text: Any) -> int:
    """Bytes of `'8GiB'`, `'500MB'`, or a number.

    Example:
        >>> parse_bytes('8GiB') == 8 * 2**30
        True

    Raises:
        ConfigError: if it is neither.
    """
    found = re.fullmatch(r'\s*(\d+(?:\.\d+)?)\s*([KMG]i?)?B?\s*', str(text))
    if found is None:
        raise ConfigError(f"peak = {text!r} is no amount of memory, as '8GiB' or '500MiB' is")
    return int(float(found[1]) * _UNITS[found[2] or ''])


@dataclass
class _Attempt:
    """A way to need less: what is told to the user, and the arguments of backbone and auxiliaries."""

    name: str
    backbone: dict[str, Any] = field(default_factory=dict)
    auxiliary: dict[str, Any] = field(default_factory=dict)


_ATTEMPTS = (
    _Attempt('as configured'),
    _Attempt(f'auxiliaries in {_CHUNKS} chunks', auxiliary=dict(chunks=_CHUNKS)),
    _Attempt('auxiliaries in chunks, bridges recomputed', auxiliary=dict(chunks=_CHUNKS, recompute=True)),
    _Attempt(
        'auxiliaries in chunks, bridges and units recomputed',
        backbone=dict(recompute=True),
        auxiliary=dict(chunks=_CHUNKS, recompute=True),
    ),
)


def _fit(cfg: Config, backbone: Any, budget: int, shape: tuple[int, int, int], batch: int) -> int:
    """Write the first plan that fits into the backbone's config; return its peak above the weights."""
    best: list[tuple[int, str, Config]] = []
    for attempt in _ATTEMPTS:
        tried = _attempted(cfg, attempt)
        settings = find_backbone(tried)[1]  # type: ignore[index]
        try:
            costs = count_costs(tried, shape, batch)
        except ConfigError:
            if attempt is _ATTEMPTS[0]:
                raise
            continue  # losses that cannot be computed in chunks
        plans = [balanced_cuts(costs, count + 1) for count in range(len(costs.names))]
        totals = [costs.total(*found) for found in plans]
        fits = next((i for i, total in enumerate(totals) if total <= _NEAR * budget), None)
        # A prediction is right within some percent: the next ones may be needed.
        for cuts, _ in [] if fits is None else plans[fits : fits + _TRIES]:
            settings.partition = cuts
            step, ledger = estimate(tried, shape, batch)
            if step.static_bytes() + ledger.peak_bytes <= budget:
                backbone.update(settings)
                return ledger.peak_bytes
        settings.partition = plans[totals.index(min(totals))][0]
        best.append((min(totals), attempt.name, tried))
    raise ConfigError(f'peak = {_mib(budget)} is below what any plan needs. The smallest {_floor(best, shape, batch)}')


def _attempted(cfg: Config, attempt: _Attempt) -> Config:
    tried = copy.deepcopy(cfg)
    settings = find_backbone(tried)[1]  # type: ignore[index]
    settings.update(attempt.backbone)
    for auxiliary in auxiliaries_of(settings.auxiliary):
        auxiliary.update(attempt.auxiliary)
    return tried


def _floor(best: list[tuple[int, str, Config]], shape: tuple[int, int, int], batch: int) -> str:
    """The plan of the smallest total, and what makes it."""
    _, name, cfg = min(best, key=lambda found: found[0])
    step, ledger = estimate(cfg, shape, batch)
    total, count = step.static_bytes() + ledger.peak_bytes, len(find_backbone(cfg)[1].partition) + 1  # type: ignore[index]
    return f'is about {_mib(total)}, of {count} blocks, {name}: {_largest(step, ledger)}'


def _largest(step: TrainingStep, ledger: Ledger) -> str:
    """What is live at the peak, in words."""
    static = step.static_bytes()
    largest = [f'{entry.made_by} {"x".join(map(str, entry.shape))} {_mib(entry.nbytes)}' for entry in ledger.at_peak()]
    return f'{_mib(static)} weights and optimizer state, {"; ".join(largest[:3])} and smaller'


def _mib(nbytes: int) -> str:
    return f'{nbytes / 2**20:.0f} MiB'


def _take_plan(backbone: Any, checkpoint: str) -> bool:
    """Write what was planned for a checkpoint's run into a backbone's config; whether the checkpoint tells.

    Only what a plan decides: another auxiliary in the config is for `PlanHook` to refuse.
    """
    from mmengine.runner import CheckpointLoader

    meta = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu', logger='silent').get('meta') or {}
    found = find_backbone(ConfigDict(written_config(meta['cfg'], ['model']))) if 'cfg' in meta else None
    if found is None or isinstance(found[1].get('partition'), Mapping):
        return False
    planned = found[1]
    pairs = [
        (backbone, planned),
        *zip(auxiliaries_of(backbone.auxiliary), auxiliaries_of(planned.auxiliary), strict=False),
    ]
    for mine, theirs in pairs:
        mine.update({key: theirs[key] for key in ('chunks', 'recompute') if key in theirs})
    backbone.partition = planned.partition
    return True
