"""Which trainings the accuracy benchmark has, and their configs."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmlocal.config import localize, make_local, method_names
from mmlocal.errors import ConfigError, nearest
from mmlocal.hosts import import_hosts

__all__ = ['BASE', 'COMMON', 'CUTS', 'E2E', 'MAIN', 'OWN', 'RECIPES', 'Case', 'all_cases', 'config_of',
           'in_order', 'seeds_of']  # fmt: skip

BASE = Path(__file__).parents[2] / 'configs' / 'e2e' / 'resnet20_fashion-mnist.py'
E2E = 'end-to-end'
COMMON, OWN = 'common', 'own'
MAIN = ('greedy', 'dgl', 'man', 'man_plus_plus', 'fba', 'auglocal', 'mlaan', 'hpff')
"""The methods of the main table, beside end-to-end: K = 4, three seeds."""
MAIN_BLOCKS = 4
_EVERY = ('stem', *(f'layer{stage}.{unit}' for stage in (1, 2, 3) for unit in (0, 1, 2)))
CUTS: dict[int, tuple[str, ...]] = {
    2: ('layer1.1',),
    4: ('layer1.0', 'layer1.1', 'layer2.0'),
    6: ('layer1.0', 'layer1.1', 'layer1.2', 'layer2.1', 'layer3.0'),
    10: _EVERY[:-1],
}
"""Of ResNet-20, by K: cut earlier than in equal parts, as the first units keep the most; K = 10 is every unit."""
_RECONSTRUCTION = 'model.backbone.auxiliary.terms.reconstruction.loss_weight'
# InfoPro's released commands for ResNet-110 (arXiv 2101.10832): weights of reconstruction and of the task, from the
# first to the last local block, by K. Its optimizer is that of the common recipe.
_INFOPRO = {2: ((5.0, 5.0), (0.5, 0.5)), 4: ((1.0, 0.0), (0.0, 1.0)), 10: ((5.0, 0.0), (0.0, 1.0))}
# PredSim's released commands (arXiv 1901.06656): batches of 128, Adam at 5e-4 without weight decay, the rate quartered
# at these shares of the training. Its dropout belongs to its network.
_PREDSIM_STEPS = (0.5, 0.75, 0.89, 0.94)


@dataclass(frozen=True, order=True)
class Case:
    """One row of the table.

    Args:
        method: a preset of `mmlocal/config/presets`, or `E2E`.
        blocks: K; 1 is end to end.
        recipe: `COMMON` trains as all others, `OWN` as the method was published.
    """

    method: str
    blocks: int = 1
    recipe: str = COMMON

    def __str__(self) -> str:
        """As in messages and names of folders."""
        parts = [self.method] + [f'k{self.blocks}'] * (self.blocks > 1) + [self.recipe] * (self.recipe != COMMON)
        return '-'.join(parts)


def _infopro(cfg: Config, blocks: int) -> None:
    reconstruction, task = _INFOPRO[blocks]
    cfg.merge_from_dict({_RECONSTRUCTION: reconstruction, 'model.backbone.auxiliary.loss_weight': task})


def _predsim(cfg: Config, blocks: int) -> None:
    cfg.optim_wrapper.optimizer = ConfigDict(type='Adam', lr=5e-4)
    epochs = cfg.train_cfg.max_epochs
    milestones = [round(share * epochs) for share in _PREDSIM_STEPS]
    cfg.param_scheduler = [ConfigDict(type='MultiStepLR', milestones=milestones, gamma=0.25)]


RECIPES = {'infopro': (_infopro, tuple(_INFOPRO)), 'predsim': (_predsim, tuple(CUTS))}
"""Methods with a recipe of their own: what it changes, and for which K it is known."""


def config_of(case: Case, seed: int, options: Mapping[str, Any] | None = None, base: Path = BASE) -> Config:
    """The completed config of a training: nothing of it is left to defaults that a later version may change.

    Args:
        case: what is trained.
        seed: of everything that is drawn.
        options: settings to override, as `--cfg-options`.
        base: the config that is trained end to end.

    Raises:
        ConfigError: if the method or its number of blocks is unknown, or the options do not fit.
    """
    cfg = Config.fromfile(base)
    if case.method != E2E:
        _check(case)
        cfg = make_local(cfg, case.method, case.blocks)
        cfg.model.backbone.partition = list(CUTS[case.blocks])
    cfg.randomness = ConfigDict(seed=seed)
    try:
        cfg.merge_from_dict(copy.deepcopy(dict(options or {})))
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f'--cfg-options do not fit {base.name}: {error}') from error
    if case.recipe == OWN:
        RECIPES[case.method][0](cfg, case.blocks)
    import_hosts(cfg)
    return localize(cfg)


def _check(case: Case) -> None:
    known = method_names()
    faults = []
    if case.method not in known:
        faults.append(f'--methods: {case.method!r} is no preset.{nearest(case.method, known)}')
    if case.blocks not in CUTS:
        faults.append(f'--blocks: {case.blocks} has no cuts here; there are {", ".join(map(str, CUTS))}')
    if case.recipe == OWN and (case.method not in RECIPES or case.blocks not in RECIPES[case.method][1]):
        faults.append(f'{case.method} has no recipe of its own for K = {case.blocks}')
    if faults:
        raise ConfigError(*faults)


def all_cases(methods: Sequence[str] | None, blocks: Sequence[int]) -> list[Case]:
    """The rows of the table, as it lists them: by K, the main methods first, own recipes behind the common one.

    Args:
        methods: `None` for every preset and end to end.
        blocks: numbers of blocks.

    Raises:
        ConfigError: with every method and number of blocks that is unknown.
    """
    others = sorted(set(method_names()) - set(MAIN))
    asked = list(methods) if methods is not None else [E2E, *MAIN, *others]
    local = [method for method in asked if method != E2E]
    faults = [fault for fault in map(_fault_of, (Case(method, k) for method in local for k in blocks)) if fault]
    if faults:
        raise ConfigError(*dict.fromkeys(line for fault in faults for line in fault.faults))
    own = {method: known for method, (_, known) in RECIPES.items()}
    return [
        *([Case(E2E)] if E2E in asked else []),
        *(
            Case(method, k, recipe)
            for k in blocks
            for method in local
            for recipe in (COMMON, OWN)
            if recipe == COMMON or k in own.get(method, ())
        ),
    ]


def seeds_of(case: Case, count: int | None = None) -> range:
    """Seeds that a row is to have: three in the main table, one elsewhere, or `count`."""
    if count is not None:
        return range(count)
    main = case.method == E2E or (case.method in MAIN and case.blocks == MAIN_BLOCKS and case.recipe == COMMON)
    return range(3) if main else range(1)


def in_order(work: Iterable[tuple[Case, int]]) -> list[tuple[Case, int]]:
    """So that a table can be read early: K = 4 first, there one seed of all, of the main methods first.

    Args:
        work: cases and seeds.
    """

    def rank(item: tuple[Case, int]) -> tuple[Any, ...]:
        case, seed = item
        other = case.method not in (E2E, *MAIN)
        return (case.blocks not in (1, MAIN_BLOCKS), seed, other, case.recipe != COMMON)

    return sorted(work, key=rank)


def _fault_of(case: Case) -> ConfigError | None:
    try:
        _check(case)
    except ConfigError as error:
        return error
    return None
