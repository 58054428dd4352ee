"""Building a dataset, and finding out why one cannot be built."""

from __future__ import annotations

import copy
import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import mmengine
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from mmlocal.errors import ConfigError, Faults, reason
from mmlocal.hosts import rules_of
from mmlocal.hosts.accounts import current_reading, xml_fault
from mmlocal.validation.data.accounting import account_of, no_object
from mmlocal.validation.data.categories import check_categories

__all__ = ['annotation_fault', 'build_dataset', 'explain']


def build_dataset(config: Mapping[str, Any], place: str) -> Any:
    """Build a dataset as a runner does, in the scope that is in use. One that would be downloaded is not.

    Raises:
        ConfigError: that says why it cannot be built, or that it is empty.
    """
    config = _offline(config)
    try:
        dataset = DATASETS.build(copy.deepcopy(config))
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
    except Exception as error:  # datasets raise anything
        explain(config, place)
        raise ConfigError(f'{place} cannot be built: {reason(error)}') from error
    return dataset


def explain(config: Any, place: str) -> None:
    """Build the datasets of a config that could not be built again: one by one, and step by step.

    Raises:
        ConfigError: with every dataset that cannot be built or is empty, if there is any.
    """
    faults = Faults()
    for leaf, where in _leaves(config, place):
        with faults.under(where):
            _explain(leaf)
    faults.report()


def _leaves(config: Any, place: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The configs inside of wrappers and concatenations, each with its place."""
    if isinstance(config, (list, tuple)):
        for i, one in enumerate(config):
            yield from _leaves(one, f'{place}[{i}]')
    elif isinstance(config, Mapping):
        inner = next((name for name in ('datasets', 'dataset') if name in config), None)
        if inner is None:
            yield config, place
        else:
            yield from _leaves(config[inner], f'{place}.{inner}')


def _offline(config: Any) -> Any:
    """A copy of a config whose datasets are not downloaded."""
    if isinstance(config, (list, tuple)):
        return [_offline(one) for one in config]
    if not isinstance(config, Mapping):
        return config
    copied = {name: _offline(value) if name in ('dataset', 'datasets') else value for name, value in config.items()}
    with DATASETS.switch_scope_and_registry(None) as registry:
        dataset_type = registry.get(config['type']) if isinstance(config.get('type'), str) else None
    if dataset_type is not None and 'download' in inspect.signature(dataset_type).parameters:
        copied['download'] = False
    return copied


def _explain(config: Mapping[str, Any]) -> None:
    ann_file = os.path.join(config.get('data_root') or '', config.get('ann_file') or '')
    fault = annotation_fault(ann_file)
    if fault:
        raise ConfigError(f'ann_file = {ann_file!r} {fault}')
    try:
        dataset = DATASETS.build({**copy.deepcopy(dict(_offline(config))), 'lazy_init': True})
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f' cannot be built: {reason(error)}') from error
    if not isinstance(dataset, BaseDataset):
        return
    _explain_files(dataset)
    dataset.parse_data_info = _naming(dataset.parse_data_info)
    try:
        dataset.data_list = dataset.load_data_list()
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f' cannot be read: {reason(error)}') from error
    _explain_empty(dataset)


def _explain_files(dataset: Any) -> None:
    """What is known to be wrong with the files of such a dataset."""
    rules = rules_of(dataset)
    try:
        faults = rules.faults(dataset, current_reading()) if rules else []
    except Exception:  # of a file that is not there, or a dataset that reads otherwise after all
        return
    if faults:
        raise ConfigError(*faults)


def _explain_empty(dataset: Any) -> None:
    loaded, notes = dataset.data_list, current_reading()
    if not loaded:
        raise ConfigError(f' has no images: {type(dataset).__name__} found none by {_sources(dataset)}')
    check_categories(dataset, notes)
    if dataset.filter_data():
        return
    notes.note_kept(dataset, [])
    account = account_of(dataset, notes)
    if account.faults:
        raise ConfigError(*account.faults)
    if _has_no_object(loaded):
        raise ConfigError(no_object(dataset, account))
    raise ConfigError(f'filter_cfg = {dataset.filter_cfg} leaves none of the {len(loaded)} images')


def _has_no_object(infos: list[Any]) -> bool:
    return all('instances' in info and not info['instances'] for info in infos)


def annotation_fault(path: str) -> str:
    """What is wrong with a JSON file, or with a list that is no UTF-8; other files are for their datasets to judge."""
    if not path.endswith(('.json', '.txt')) or not os.path.isfile(path):
        return ''
    if path.endswith('.txt'):
        return _list_fault(path)
    try:
        mmengine.load(path)
    except json.JSONDecodeError as error:
        return f'is not JSON, or not all of it: {error}'
    except UnicodeDecodeError as error:
        return f'is not JSON: {reason(error)}'
    return ''


def _list_fault(path: str) -> str:
    try:
        with open(path, encoding='utf-8') as file:
            file.read()
    except UnicodeDecodeError as error:
        return f'is no text in UTF-8: {reason(error)}. Save it as UTF-8'
    return ''


def _naming(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`parse_data_info`, whose errors name the record that they are about."""

    def named(record: Any) -> Any:
        try:
            return parse(record)
        except Exception as error:  # whatever a record makes a dataset raise
            image = record.get('raw_img_info', record)
            name = next((f'{key} = {image[key]!r}' for key in ('xml_path', 'file_name') if key in image), record)
            fault = xml_fault(image['xml_path']) if 'xml_path' in image else ''
            raise ConfigError(f' has a record that cannot be read ({name}): {fault or reason(error)}') from error

    return named


def _sources(dataset: Any) -> str:
    """Where a dataset has looked for its images."""
    sources = {'ann_file': getattr(dataset, 'ann_file', '')}
    sources |= {f'data_prefix.{name}': path for name, path in dataset.data_prefix.items()}
    sources |= {'img_suffix': getattr(dataset, 'img_suffix', '')}
    return ', '.join(f'{name} = {value!r}' for name, value in sources.items() if value)
