"""Looking at a config before anything is trained: every fault at once, each with its place."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, MutableMapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry

from mmlocal.config.complete import find_backbone, find_replaced, is_local, is_planned, localize
from mmlocal.engine.resume.checkpoint_files import check_checkpoint
from mmlocal.errors import ConfigError, Faults, reason
from mmlocal.randomness import undisturbed
from mmlocal.registry import MODELS
from mmlocal.validation.building import weightless
from mmlocal.validation.data.files import check_datasets
from mmlocal.validation.data.loaders import check_loaders
from mmlocal.validation.optimizers import check_optim_wrapper
from mmlocal.validation.own_components import check_component
from mmlocal.validation.sections import check_forms, check_keys, check_scope, check_sections

__all__ = ['validate']

_OF_WHOLE = re.compile(r'model(\.backbone|\.generator)? cannot be (built|used): ')


@undisturbed()
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
    splits, faults, original = tuple(splits), Faults(), cfg
    check_forms(cfg)
    faults.found += [f'{key} is missing' for key in _needed(splits) if _is_missing(cfg, key)]
    with faults.under():
        check_keys(cfg)
    with faults.under():
        check_datasets(cfg, splits)
    with faults.under():
        check_loaders(cfg, splits)
    if is_local(cfg) and cfg.get('compile'):
        faults.found.append(
            'compile would compile whole training steps, and the blocks learn within them: use model.backbone.compile'
        )
    fits = False
    with faults.under():
        cfg = localize(cfg)
        fits = True
    with faults.under():
        check_scope(cfg)
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
            with faults.under():
                check_sections(original, splits)
            with faults.checking('model'):
                _check_backbone(cfg, faults, build=fits)
            if 'train' in splits:
                with faults.checking('optim_wrapper'):
                    _check_training(cfg, faults)
    # Of a run that goes on or is tested: what weights are merely taken from has no say in the cuts.
    if checkpoint is None and cfg.get('load_from'):
        checkpoint = ('load_from', cfg.load_from)
    if checkpoint is not None:
        with faults.under(checkpoint[0]):
            check_checkpoint(checkpoint[1], resume=bool(cfg.get('resume')))
    faults.found = _once(faults.found)
    faults.report()
    return cfg


def _once(faults: list[str]) -> list[str]:
    """Without what the host says of the model, or its network, as a whole, where parts of it are known to be wrong."""
    exact = [fault for fault in faults if fault.startswith('model') and not _OF_WHOLE.match(fault)]
    return [fault for fault in faults if not (exact and _OF_WHOLE.match(fault))]


def _needed(splits: tuple[str, ...]) -> list[str]:
    """What a runner cannot be without; training goes without validation."""
    keys = ['model']
    if 'train' in splits:
        keys += ['train_dataloader', 'train_cfg', 'optim_wrapper']
    if 'test' in splits:
        keys += ['test_dataloader', 'test_cfg', 'test_evaluator']
    return keys


def _is_missing(cfg: Config, key: str) -> bool:
    """An empty loop of a test is one: that of the kind that a runner takes for itself."""
    return cfg.get(key) is None if key == 'test_cfg' else not cfg.get(key)


def _check_training(cfg: Config, faults: Faults) -> None:
    """The optimizer wrapper, where `localize` has not refused it."""
    wrapper, found = cfg.get('optim_wrapper'), find_backbone(cfg)
    if wrapper and not any(fault.startswith('optim_wrapper.') for fault in faults.found):
        with faults.under('optim_wrapper'):
            check_optim_wrapper(wrapper, found[1] if found else None)


def _check_backbone(cfg: Config, faults: Faults, build: bool) -> None:
    """Types and arguments first; then it is built without those that are wrong, for what only that shows."""
    found = find_backbone(cfg) or find_replaced(cfg)
    if found is None:
        return
    place, backbone = found[0], copy.deepcopy(found[1])
    with MODELS.switch_scope_and_registry(None) as registry:
        wrong = _component_faults(backbone, registry)
        faults.add(place, [fault for fault in wrong if not _is_told(fault, faults)])
        # Wrong arguments are out of it now. A wrong type or partition is not, and decides about the rest.
        if build and not _component_faults(backbone, registry):
            if is_planned(cfg):
                # Where an auxiliary fits, and how many blocks losses can reach, is the plan's to find.
                backbone.update(partition=[], reach=1, overlap=0, full_windows=False, reconcile=0.0)
            with faults.under(place):
                _try_build(backbone, registry, explain=not any(f.startswith('model.') for f in faults.found))


def _is_told(fault: str, faults: Faults) -> bool:
    """Whether a fault is that of the host's own head, which a head that is derived from it has too."""
    place, equals, rest = fault.partition(' = ')
    same = place.rpartition('.')[2] + equals + rest
    return place.startswith('auxiliary') and any(other.endswith(f'.{same}') for other in faults.found)


def _component_faults(config: MutableMapping[str, Any], registry: Registry) -> tuple[str, ...]:
    try:
        check_component(config, registry)
    except ConfigError as error:
        return error.faults
    return ()


def _try_build(backbone: MutableMapping[str, Any], registry: Registry, explain: bool) -> None:
    """Build the backbone; an error of other people's code is told if no known fault explains it."""
    try:
        with weightless():
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
