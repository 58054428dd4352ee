"""The same model trained in other ways, to be held against each other."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mmengine.config import Config

from mmlocal.config import find_backbone
from mmlocal.planning.costs import Costs
from mmlocal.planning.cuts import balanced_cuts
from mmlocal.registry import MODELS

__all__ = ['Variant', 'checkpointed', 'end_to_end', 'variants']


class Variant(NamedTuple):
    """A way to train.

    Args:
        name: for tables.
        cfg: a config.
        amp: with mixed precision.
    """

    name: str
    cfg: Config
    amp: bool = False


def end_to_end(cfg: Config, **network: Any) -> Config:
    """The config's model in one block, the losses of its heads in one backward; other configs as they are.

    Args:
        cfg: a localized config.
        **network: arguments of the backbone to change (`recompute`, `with_cp`).
    """
    if find_backbone(cfg) is None:
        return cfg
    whole = dict(partition=[], auxiliary=[], reach=1, overlap=0, full_windows=False, reconcile=0.0, recompute=False)
    cfg = _changed(cfg, **{**whole, **network})
    if str(cfg.optim_wrapper.get('type')).startswith('mmlocal.'):
        cfg.optim_wrapper.update(step_policy='joint', split_end=False)
    return cfg


def checkpointed(cfg: Config) -> Variant:
    """End to end with the network's own `with_cp`; where it has none, with its units recomputed."""
    backbone = find_backbone(cfg)[1]  # type: ignore[index]
    arch = backbone.arch
    while not isinstance(arch, str):
        replaced = arch.type.split('.')[-1] == 'ReplacementBackbone'
        arch = arch.arch if replaced else arch.type
    with MODELS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
        found = registry.get(arch)
    takers = inspect.getmro(found)[:-1] if inspect.isclass(found) else (found,)
    own = any('with_cp' in inspect.signature(taker).parameters for taker in takers)
    if own:
        return Variant('end-to-end, with_cp', end_to_end(cfg, with_cp=True))
    return Variant('end-to-end, units recomputed', end_to_end(cfg, recompute=True))


def variants(cfg: Config, costs: Costs | None, num_blocks: Sequence[int] = (2, 4, 8)) -> Iterator[Variant]:
    """End-to-end, and with what it has against memory; then local as configured, with planned cuts, recomputed.

    Args:
        cfg: a localized config with cuts; of one that is not local only what is end-to-end.
        costs: of its units; none leaves out the planned cuts.
        num_blocks: of the planned cuts.
    """
    yield Variant('end-to-end', end_to_end(cfg))
    if find_backbone(cfg) is not None:
        yield Variant('end-to-end, units recomputed', end_to_end(cfg, recompute=True))
    yield Variant('end-to-end, mixed precision', end_to_end(cfg), amp=True)
    if find_backbone(cfg) is None:
        return
    yield Variant('local as configured', cfg)
    for number in num_blocks:
        if costs is not None and number <= len(costs.names):
            yield Variant(f'local, {number} balanced blocks', _changed(cfg, partition=balanced_cuts(costs, number)[0]))
    yield Variant('local as configured, units recomputed', _changed(cfg, recompute=True))
    yield Variant('local as configured, mixed precision', cfg, amp=True)


def _changed(cfg: Config, **arguments: Any) -> Config:
    cfg = copy.deepcopy(cfg)
    find_backbone(cfg)[1].update(arguments)  # type: ignore[index]
    return cfg
