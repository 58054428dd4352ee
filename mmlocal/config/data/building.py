"""Building a dataset, and finding out why it cannot be built."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import mmengine
from mmengine.registry import DATASETS

from mmlocal.errors import ConfigError, Faults, reason

__all__ = ['annotation_fault', 'build_dataset', 'explain', 'leaves']


def leaves(config: Any, place: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The dataset configs inside of wrappers and concatenations, each with its place."""
    if isinstance(config, (list, tuple)):
        for i, one in enumerate(config):
            yield from leaves(one, f'{place}[{i}]')
    elif isinstance(config, Mapping):
        inner = next((name for name in ('datasets', 'dataset') if name in config), None)
        if inner is None:
            yield dict(config), place
        else:
            yield from leaves(config[inner], f'{place}.{inner}')


def build_dataset(config: Mapping[str, Any], place: str) -> Any:
    """Build a dataset as a runner does, in the scope that is in use.

    Raises:
        ConfigError: that says why it cannot be built, or that it is empty.
    """
    try:
        dataset = DATASETS.build(copy.deepcopy(config))
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
    except Exception as error:  # datasets raise anything
        explain(config, place)
        raise ConfigError(f'{place} cannot be built: {reason(error)}') from error
    return dataset


def explain(config: Any, place: str) -> None:
    """Build the datasets of a config that failed again, one by one and step by step.

    Raises:
        ConfigError: with every dataset that cannot be built or is empty, if there is any.
    """
    faults = Faults()
    for leaf, where in leaves(config, place):
        with faults.under(where):
            _explain_leaf(leaf)
    faults.report()


def _explain_leaf(config: Mapping[str, Any]) -> None:
    ann_file = os.path.join(config.get('data_root') or '', config.get('ann_file') or '')
    fault = annotation_fault(ann_file)
    if fault:
        raise ConfigError(f'ann_file = {ann_file!r} {fault}')
    try:
        dataset = DATASETS.build({**copy.deepcopy(dict(config)), 'lazy_init': True})
    except Exception as error:
        raise ConfigError(f' cannot be built: {reason(error)}') from error
    if hasattr(dataset, 'parse_data_info'):
        dataset.parse_data_info = _naming(dataset.parse_data_info)
    try:
        dataset.data_list = dataset.load_data_list()
        loaded = len(dataset.data_list)
        left = dataset.filter_data() if loaded else []
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f' cannot be read: {reason(error)}') from error
    if not loaded:
        raise ConfigError(f' has no images: {_sources(dataset)}')
    if not left:
        raise ConfigError(f'filter_cfg = {dataset.filter_cfg} leaves none of the {loaded} images')


def annotation_fault(path: str) -> str:
    """What is wrong with a JSON file, or nothing; other files are for their dataset to judge."""
    if not path.endswith('.json') or not os.path.isfile(path):
        return ''
    try:
        mmengine.load(path)
    except json.JSONDecodeError as error:
        return f'is not JSON, or not all of it: {error}'
    except UnicodeDecodeError as error:
        return f'is not JSON: {reason(error)}'
    return ''


def _naming(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`parse_data_info`, whose errors name the record."""

    def named(record: Any) -> Any:
        try:
            return parse(record)
        except Exception as error:
            inner = record.get('raw_img_info', record) if isinstance(record, Mapping) else {}
            names = [f'{key} = {inner[key]!r}' for key in ('xml_path', 'file_name') if key in inner]
            what = f'lacks {error}' if isinstance(error, KeyError) else f'cannot be read: {reason(error)}'
            raise ConfigError(f' has a record that {what} ({", ".join(names[:1]) or record})') from error

    return named


def _sources(dataset: Any) -> str:
    """Where a dataset has looked."""
    found = [f'ann_file = {dataset.ann_file!r}'] if getattr(dataset, 'ann_file', '') else []
    found += [f'data_prefix.{name} = {path!r}' for name, path in dataset.data_prefix.items()]
    if getattr(dataset, 'img_suffix', None):
        found.append(f'img_suffix = {dataset.img_suffix!r}')
    names = {str(Path(path).suffix) for path in ()}
    return f'{type(dataset).__name__} found none by {", ".join(found)}{"".join(names)}'
