"""Looking at a config before anything is trained: every fault at once, each with its place."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import LOOPS, OPTIM_WRAPPERS, OPTIMIZERS, DefaultScope, Registry
from torch import nn

from mmlocal.config.checkpoints import check_checkpoint
from mmlocal.config.components import check_arguments, check_component, find_type
from mmlocal.config.files import check_datasets
from mmlocal.config.localize import find_backbone, find_replaced, is_planned, localize
from mmlocal.errors import ConfigError, Faults, reason
from mmlocal.registry import MODELS

__all__ = ['validate']

# Read by those who build an optimizer wrapper, not by the wrapper.
_CONSTRUCTOR_KEYS = ('constructor', 'paramwise_cfg')


def validate(
    cfg: Config, splits: Iterable[str] = ('train', 'val'), checkpoint: tuple[str, str] | None = None
) -> Config:
    """Complete a config with `localize`, and check it.

    Looked at: the files of the datasets of `splits`; types and arguments of the backbone, what trains
    its blocks, the optimizer and the loop; how the backbone is cut; the step policy; and the
    checkpoint to start from. Only the backbone is built, without memory for its weights where it can be.

    Args:
        cfg: any config; one without a network of mmlocal's is checked for the rest.
        splits: `train`, `val`, `test`: those that will be used.
        checkpoint: what the user calls the checkpoint to start from, and its path; without, `load_from`.

    Returns:
        The completed config.

    Raises:
        ConfigError: with all that was found.
    """
    splits, faults = tuple(splits), Faults()
    faults.found += [f'{key} is missing' for key in _needed(splits) if not cfg.get(key)]
    with faults.under():
        check_datasets(cfg, splits)
    fits = False
    with faults.under():
        cfg = localize(cfg)
        fits = True
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        _check_backbone(cfg, faults, build=fits)
        if 'train' in splits:
            _check_training(cfg, faults)
    # Of a run that goes on or is tested: what weights are merely taken from has no say in the cuts.
    given = checkpoint
    if checkpoint is None and cfg.get('load_from'):
        checkpoint = ('load_from', cfg.load_from)
    if checkpoint is not None:
        with faults.under(checkpoint[0]):
            check_checkpoint(checkpoint[1], resume=bool(cfg.get('resume')))
    faults.report()
    return _planned(cfg, given[1] if given else None)


def _planned(cfg: Config, checkpoint: str | None) -> Config:
    """With the cuts that depend on what the whole model costs."""
    from mmlocal.planning import plan

    found, faults = find_backbone(cfg), Faults()
    with faults.under(f'{found[0]}.partition' if found else ''):
        cfg = plan(cfg, checkpoint)
    faults.report()
    return cfg


def _needed(splits: tuple[str, ...]) -> list[str]:
    """What a runner cannot be without; training goes without validation."""
    keys = ['model']
    if 'train' in splits:
        keys += ['train_dataloader', 'train_cfg', 'optim_wrapper']
    if 'test' in splits:
        keys += ['test_dataloader', 'test_cfg', 'test_evaluator']
    return keys


def _check_training(cfg: Config, faults: Faults) -> None:
    """Optimizer, its wrapper, and the loop; with a constructor the optimizer is that one's matter."""
    loop, wrapper = cfg.get('train_cfg') or {}, cfg.get('optim_wrapper') or {}
    if 'type' in loop:
        with faults.under('train_cfg'), LOOPS.switch_scope_and_registry(None) as registry:
            check_component(copy.deepcopy(loop), registry)
    refused = any(fault.startswith('optim_wrapper.') for fault in faults.found)
    if not wrapper or 'constructor' in wrapper or refused:
        return
    with faults.under('optim_wrapper'):
        _check_wrapper(wrapper)
    if wrapper.get('type') == 'AmpOptimWrapper' and not torch.cuda.is_available():
        faults.found.append(f'optim_wrapper.type = {wrapper["type"]!r} needs a GPU, and torch sees none here')
    with faults.under('optim_wrapper.optimizer'), OPTIMIZERS.switch_scope_and_registry(None) as registry:
        check_component(copy.deepcopy(wrapper.get('optimizer')), registry)
    found = find_backbone(cfg)
    if found is not None:
        with faults.under('optim_wrapper'):
            _check_policy(wrapper, found[1].get('reach', 1))


def _check_wrapper(wrapper: Mapping[str, Any]) -> None:
    arguments = {name: value for name, value in wrapper.items() if name not in _CONSTRUCTOR_KEYS}
    with OPTIM_WRAPPERS.switch_scope_and_registry(None) as registry:
        function = find_type({'type': 'OptimWrapper', **wrapper}, registry)
        # Wrappers hand their **kwargs to their bases as they are.
        check_arguments(arguments, [function], function.__name__, thorough=True)


def _check_policy(wrapper: Mapping[str, Any], reach: Any) -> None:
    """What the block-wise wrapper refuses when it is built, and what it could refuse only in training."""
    from mmlocal.engine import BlockwiseOptimWrapper

    policy, count = wrapper.get('step_policy', 'auto'), wrapper.get('accumulative_counts', 1)
    answer = wrapper.get('on_nonfinite', 'stop')
    faults = Faults()
    with faults.under():
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.0)
        try:
            BlockwiseOptimWrapper(optimizer, policy, on_nonfinite=answer, accumulative_counts=count)
        except (AssertionError, TypeError) as error:
            raise ConfigError(f'accumulative_counts = {count!r} cannot be used: {reason(error)}') from error
    if policy == 'per_block' and isinstance(reach, int) and reach > 1:
        faults.found.append(f"step_policy = 'per_block' needs reach = 1, not {reach}: later losses still use the block")
    faults.report()


def _check_backbone(cfg: Config, faults: Faults, build: bool) -> None:
    """Types and arguments first; then it is built without those that are wrong, for what only that shows."""
    found = find_backbone(cfg) or find_replaced(cfg)
    if found is None:
        return
    place, backbone = found[0], copy.deepcopy(found[1])
    with MODELS.switch_scope_and_registry(None) as registry:
        wrong = _component_faults(backbone, registry)
        faults.add(place, wrong)
        # Wrong arguments are out of it now. A wrong type or partition is not, and decides about the rest.
        if build and not _component_faults(backbone, registry):
            if is_planned(cfg):
                # Where an auxiliary fits is the plan's to find.
                backbone['partition'] = []
            with faults.under(place):
                _try_build(backbone, registry, explain=not wrong)


def _component_faults(config: MutableMapping[str, Any], registry: Registry) -> tuple[str, ...]:
    try:
        check_component(config, registry)
    except ConfigError as error:
        return error.faults
    return ()


def _try_build(backbone: MutableMapping[str, Any], registry: Registry, explain: bool) -> None:
    """Build the backbone; an error of other people's code is told if no known fault explains it."""
    try:
        with torch.device('meta'):
            registry.build(copy.deepcopy(backbone))
        return
    except ConfigError:
        raise
    except Exception:  # perhaps the meta device's: some networks read numbers off their tensors
        if not explain:
            return
    try:
        registry.build(copy.deepcopy(backbone))
    except ConfigError:
        raise
    except Exception as error:  # a network may raise anything
        check_component(backbone, registry, thorough=True)
        raise ConfigError(f' cannot be built: {reason(error)}') from error
