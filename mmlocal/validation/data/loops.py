"""The data of a runner's loops."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

from mmlocal.errors import ConfigError, Faults
from mmlocal.hosts import base_datasets_of
from mmlocal.hosts.accounts import Reading, reading
from mmlocal.randomness import undisturbed
from mmlocal.validation.data.accounting import account_of
from mmlocal.validation.data.batches import check_batches, check_single_image
from mmlocal.validation.data.building import build_dataset, explain
from mmlocal.validation.data.checks import check_dataset
from mmlocal.validation.data.evaluators import check_evaluated, check_evaluators
from mmlocal.validation.data.files import loaders_of
from mmlocal.validation.data.splits import Splits
from mmlocal.validation.data.targets import targets_of
from mmlocal.validation.telling import sentence_of

__all__ = ['check_loops']


def check_loops(runner: Runner, splits: Iterable[str]) -> list[tuple[str, Any]]:
    """Build the loops of a runner, and look at their data.

    The runner keeps the loops, so each dataset is built once, as without this. From here on, a sample
    that is wrong raises a `DataError`. What is not used of the data is logged, a line a reason.

    Returns:
        The data loaders, each with its place in the config.

    Raises:
        ConfigError: with all that was found.
    """
    faults, loaders = Faults(), []
    with reading() as notes:
        compared = Splits(targets_of(runner.cfg), notes)
        for split in splits:
            with faults.under():
                built = _build(runner, split)
                loaders += built
                for place, loader in built:
                    _check_loader(runner, split, place, loader, compared, faults)
                leaves = [
                    one for place, loader in built for one in base_datasets_of(loader.dataset, f'{place}.dataset')
                ]
                with faults.under():
                    compared.odd += check_evaluated(runner.cfg, split, leaves, notes)
        _log(loaders, compared.odd, notes)
    faults.report()
    return loaders


def _check_loader(runner: Runner, split: str, place: str, loader: Any, compared: Splits, faults: Faults) -> None:
    """Look at one data loader and its dataset."""
    targets, before = compared.targets, len(faults.found)
    with faults.under():
        targets = compared.add(split, loader.dataset, f'{place}.dataset', faults)
        first = check_dataset(loader.dataset, f'{place}.dataset', targets, to_train=split == 'train')
    if split != 'train':
        return
    with faults.under(place):
        check_batches(runner, loader)
    if len(faults.found) == before:
        with faults.under():
            _check_image_with_model(runner, first)
        with faults.under(place):
            check_single_image(runner, loader, first)


def _log(loaders: Iterable[tuple[str, Any]], odd: Iterable[str], notes: Reading) -> None:
    """Say what of the data is not used, and what else is odd."""
    lines = [
        line
        for place, loader in loaders
        for leaf, where in base_datasets_of(loader.dataset, f'{place}.dataset')
        for line in account_of(leaf, notes).lines(where)
    ]
    for line in (*lines, *odd):
        print_log(line, logger='current', level=logging.WARNING)


def _build(runner: Runner, split: str) -> list[tuple[str, Any]]:
    """Place and data loader of all that the loop of a split reads; none where the runner has no such loop."""
    configs = list(loaders_of(runner.cfg, split))
    try:
        loop = getattr(runner, f'{split}_loop')
    except Exception as error:  # of a dataset, an evaluator, or what is no matter of data
        _explain_loop(runner.cfg, split, configs)
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(sentence_of(error, runner.cfg, f'the {split} loop cannot be built')) from error
    if loop is None:
        return []
    loaders = getattr(loop, 'dataloaders', None) or [loop.dataloader]
    return [(place, loader) for (place, _), loader in zip(configs, loaders, strict=True)]


def _explain_loop(cfg: Mapping[str, Any], split: str, configs: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    faults = Faults()
    for place, config in configs:
        with faults.under():
            explain(config.get('dataset'), f'{place}.dataset')
            # Each may be right by itself, and they do not go together.
            build_dataset(config['dataset'], f'{place}.dataset')
    faults.report()
    check_evaluators(cfg, split)


def _check_image_with_model(runner: Runner, sample: Any) -> None:
    """Now, or right before the run where the model is built no earlier: by the strategy of a `FlexibleRunner`."""
    if isinstance(runner.model, nn.Module):
        _check_image(runner.model, sample)
    else:
        runner.register_hook(_ImageCheck(sample))


class _ImageCheck(Hook):
    """The check of the first image, put off until there is a model."""

    priority = 'VERY_HIGH'
    # Nothing of it is for a checkpoint.
    is_kept = False

    def __init__(self, sample: Any) -> None:
        self._sample = sample

    def before_run(self, runner: Runner) -> None:
        _check_image(runner.model, self._sample)


@undisturbed()
def _check_image(model: Any, sample: Any) -> None:
    """Show the size of the first training image to those auxiliaries that care for it."""
    inputs: Any = sample.get('inputs') if isinstance(sample, Mapping) else None
    careful = [(name, module) for name, module in model.named_modules() if hasattr(module, 'check_image')]
    faults = Faults()
    for name, module in careful if hasattr(inputs, 'shape') else []:
        with faults.under(f'model.{name}'):
            module.check_image(*inputs.shape[-2:])
    faults.report()
