"""Looking at a config before anything is trained: every fault at once, each with its place."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope

from mmlocal.config.localize import find_backbone
from mmlocal.errors import ConfigError, Faults
from mmlocal.registry import MODELS

__all__ = ['check_checkpoint', 'validate']

_MINI = 'configs/man/faster_rcnn_r18_man_mini-coco.py'


def validate(cfg: Config, splits: tuple[str, ...] = ('train', 'val')) -> None:
    """Check a config that `localize` has completed.

    Looked at: the files of the datasets of `splits`, how the backbone is cut and what trains its
    blocks, the step policy, and the checkpoint to start from. The backbone is built without memory
    for its weights; nothing else is.

    Raises:
        ConfigError: with all that was found.
    """
    faults = Faults()
    faults.found += [fault for split in splits for fault in _dataset_faults(cfg, split)]
    found = find_backbone(cfg)
    if found is not None:
        place, backbone = found
        with faults.under(place):
            _try_build(backbone, cfg.get('default_scope', 'mmengine'))
        with faults.under('optim_wrapper'):
            _check_policy(cfg.get('optim_wrapper') or {}, backbone.get('reach', 1))
    if cfg.get('load_from'):
        with faults.under('load_from'):
            check_checkpoint(cfg.load_from)
    faults.report()


def check_checkpoint(path: str) -> None:
    """Open a checkpoint as a run would.

    Raises:
        ConfigError: if it is not there, cannot be read to its end, or holds no weights.
    """
    from mmengine.runner import CheckpointLoader

    if '://' in path:
        return
    if not Path(path).is_file():
        raise ConfigError(f' = {path!r} does not exist (looked for {Path(path).absolute()})')
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    except Exception as error:  # whatever a broken file makes torch raise
        reason = str(error).split('\n')[0][:120]
        raise ConfigError(f' = {path!r} is broken or not a checkpoint: {reason}') from error
    if not isinstance(checkpoint, Mapping) or not ('state_dict' in checkpoint or 'model' in checkpoint):
        raise ConfigError(f' = {path!r} holds no weights (no key state_dict)')


def _check_policy(wrapper: Mapping[str, Any], reach: int) -> None:
    if wrapper.get('step_policy', 'joint') != 'per_block':
        return
    faults = []
    if reach > 1:
        faults.append(f"step_policy = 'per_block' needs reach = 1, not {reach}: later losses still use the block")
    count = wrapper.get('accumulative_counts', 1)
    if count > 1:
        faults.append(f"accumulative_counts = {count} does not go with step_policy 'per_block': use 'joint'")
    if faults:
        raise ConfigError(*faults)


def _try_build(backbone: Mapping[str, Any], scope: str) -> None:
    """Build the backbone on the meta device, for the faults that building it shows."""
    if DefaultScope.get_current_instance() is None:
        init_default_scope(scope)
    try:
        with torch.device('meta'), DefaultScope.overwrite_default_scope(scope):
            MODELS.build(copy.deepcopy(dict(backbone)))
    except ConfigError:
        raise
    except NotImplementedError:
        return  # an operator without a meta form: the real build will tell
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigError(f': {error}') from error


def _datasets(config: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every dataset with files of its own, inside wrappers and concatenations too."""
    if isinstance(config, (list, tuple)):
        for i, one in enumerate(config):
            yield from _datasets(one, f'{place}[{i}]')
    elif isinstance(config, Mapping):
        for inner in ('dataset', 'datasets'):
            if inner in config:
                yield from _datasets(config[inner], f'{place}.{inner}')
        if 'ann_file' in config or 'data_prefix' in config:
            yield place, config


def _dataset_faults(cfg: Config, split: str) -> list[str]:
    loader = cfg.get(f'{split}_dataloader') or {}
    return [
        f'{place}.{key} = {path!r} does not exist (looked for {Path(path).absolute()}). {_how_to_get(path)}'
        for place, dataset in _datasets(loader.get('dataset'), f'{split}_dataloader.dataset')
        for key, path in _files(dataset)
        if '://' not in path and not Path(path).exists()
    ]


def _files(dataset: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    root = Path(dataset.get('data_root') or '')
    if dataset.get('ann_file'):
        yield 'ann_file', str(root / dataset['ann_file'])
    prefixes = dataset.get('data_prefix') or {}
    for name, prefix in (prefixes if isinstance(prefixes, Mapping) else {'img_path': prefixes}).items():
        if isinstance(prefix, str) and prefix:
            yield f'data_prefix.{name}', str(root / prefix)


def _how_to_get(path: str) -> str:
    if 'mini-' in path:
        return 'Make it in seconds: python tools/dataset_converters/make_mini_coco.py'
    return f'docs/datasets.md says where to get it and how to lay it out; {_MINI} runs without it'
