"""The data of a runner's loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from mmlocal.validation.data.building import annotation_fault, explain
from mmlocal.validation.data.checks import check_dataset
from mmlocal.validation.data.targets import targets_of
from mmlocal.validation.data.files import loaders_of
from mmlocal.errors import ConfigError, Faults
from mmlocal.randomness import undisturbed
from mmlocal.validation.telling import sentence_of

__all__ = ['check_evaluators', 'check_loops']


def check_loops(runner: Runner, splits: Iterable[str]) -> list[tuple[str, Any]]:
    """Build the loops of a runner, and look at their data.

    The runner keeps the loops, so each dataset is built once, as without this. From here on, a sample
    that is wrong raises a `DataError`.

    Returns:
        The data loaders, each with its place in the config.

    Raises:
        ConfigError: with all that was found.
    """
    faults, targets, loaders = Faults(), targets_of(runner.cfg), []
    for split in splits:
        with faults.under():
            for place, loader in _build(runner, split):
                loaders.append((place, loader))
                with faults.under():
                    first = check_dataset(loader.dataset, f'{place}.dataset', targets, to_train=split == 'train')
                if split == 'train':
                    with faults.under(place):
                        _check_batches(runner, loader)
                    if not faults.found:
                        with faults.under():
                            _check_image_with_model(runner, first)
    faults.report()
    return loaders


def _build(runner: Runner, split: str) -> list[tuple[str, Any]]:
    """Place and data loader of all that the loop of a split reads; none where the runner has no such loop."""
    configs = list(loaders_of(runner.cfg, split))
    try:
        loop = getattr(runner, f'{split}_loop')
    except Exception as error:  # of a dataset, an evaluator, or what is no matter of data
        _explain_loop(runner.cfg, split, configs)
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
    faults.report()
    check_evaluators(cfg, split)


def check_evaluators(cfg: Mapping[str, Any], split: str) -> None:
    """Look at the annotation files that the evaluators of a split read themselves.

    Raises:
        ConfigError: if one is not JSON.
    """
    evaluators = cfg.get(f'{split}_evaluator')
    for one in evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]:
        path = one.get('ann_file') if isinstance(one, Mapping) else None
        fault = annotation_fault(path or '')
        if fault:
            raise ConfigError(f'{split}_evaluator.ann_file = {path!r} {fault}')


def _check_batches(runner: Runner, loader: Any) -> None:
    """An epoch without a batch trains nothing and says nothing, or fails in a scheduler."""
    if isinstance(runner.train_loop, EpochBasedTrainLoop) and not len(loader):
        size, images = runner.cfg.train_dataloader.get('batch_size', 1), len(loader.dataset)
        raise ConfigError(f'batch_size = {size}, but there are {images} images, and an incomplete batch is dropped')


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
