"""Reading samples: an error says which file it is about, in a worker of the data loader too."""

from __future__ import annotations

import copy
import logging
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.logging import print_log

from mmlocal.errors import ConfigError, Faults, reason
from mmlocal.hosts import base_datasets_of
from mmlocal.randomness import undisturbed
from mmlocal.validation.data.contents import content_fault
from mmlocal.validation.data.images import file_fault, paths_of, read_keys
from mmlocal.validation.data.targets import Targets

__all__ = ['DataError', 'name_samples', 'read_samples']


class DataError(ConfigError):
    """A sample that cannot be trained on.

    A worker of torch's data loader hands on an error as its type and the text of its traceback; the
    sentence is at the end of that text.

    Example:
        >>> str(DataError('Caught DataError in DataLoader worker.\\n ...\\nmmlocal.DataError: a.jpg is broken\\n'))
        'a.jpg is broken'
    """

    def __init__(self, *faults: str) -> None:
        super().__init__(*(fault.rpartition(f'{DataError.__name__}: ')[2].strip() for fault in faults))


def name_samples(dataset: Any, place: str, targets: Targets) -> None:
    """Let a dataset raise a `DataError` for a sample that cannot be read or does not fit the model.

    Note:
        To be called before the data loader starts its workers, each of which gets a copy of the dataset.
    """
    for leaf, where in base_datasets_of(dataset, place):
        leaf.prepare_data = _Reader(leaf, where, targets)


class _Reader:
    """`prepare_data` of a dataset. It stays when a hook gives the dataset another pipeline."""

    def __init__(self, dataset: Any, place: str, targets: Targets) -> None:
        self.dataset, self.place, self.targets = dataset, place, targets

    def __call__(self, idx: int) -> Any:
        try:
            sample = type(self.dataset).prepare_data(self.dataset, idx)
        except DataError:
            raise
        except Exception as error:  # transforms raise anything
            # The sentence is for users; log_level='DEBUG' shows the rest to whoever writes a transform.
            print_log(traceback.format_exc(), logger='current', level=logging.DEBUG)
            raise DataError(f'{self.place}: {self._cause(idx, error)}') from error
        fault = content_fault(sample, self.targets)
        if fault:
            raise DataError(f'{self.place}: {self._name(idx)} {fault}')
        return sample

    def _paths(self, idx: int) -> list[tuple[str, str]]:
        return list(paths_of(self.dataset.get_data_info(idx), read_keys(self.dataset)))

    def _name(self, idx: int) -> str:
        paths = ', '.join(f'{key} = {path!r}' for key, path in self._paths(idx))
        return f'sample {idx} of {len(self.dataset)}' + (f' ({paths})' if paths else '')

    def _cause(self, idx: int, error: Exception) -> str:
        for key, path in self._paths(idx):
            fault = file_fault(path, error)
            if fault:
                return f'{key} = {path!r} of sample {idx} of {len(self.dataset)} {fault}'
        return f'{self._name(idx)} cannot be prepared{_transform_of(error)}: {reason(error)}'


def _transform_of(error: BaseException) -> str:
    """Name of the last transform that ran."""
    from mmcv.transforms import BaseTransform

    ran = [frame.f_locals.get('self') for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = [type(one).__name__ for one in ran if isinstance(one, BaseTransform)]
    return f' by {names[-1]}' if names else ''


def read_samples(dataset: Any, place: str, indices: Iterable[int]) -> Any:
    """Send samples through the pipeline of a dataset, leave no trace of it, and return the first.

    Raises:
        ConfigError: with every sample that cannot be read.
    """
    faults, first = Faults(), None
    with undisturbed(), _own_pipelines(dataset, place):
        for idx in indices:
            with faults.under():
                try:
                    sample = dataset[idx]
                    first = sample if first is None else first
                except ConfigError:
                    raise
                except Exception as error:  # of a wrapper: its own transforms, or no sample that it takes
                    raise ConfigError(f'{place}: sample {idx} cannot be prepared: {reason(error)}') from error
    faults.report()
    return first


@contextmanager
def _own_pipelines(dataset: Any, place: str) -> Iterator[None]:
    """Transforms that keep images have afterwards those that they had: a run repeats to the bit."""
    kept = [
        one for one in (dataset, *(leaf for leaf, _ in base_datasets_of(dataset, place))) if hasattr(one, 'pipeline')
    ]
    pipelines = [one.pipeline for one in kept]
    try:
        for one in kept:
            one.pipeline = copy.deepcopy(one.pipeline)
        yield
    finally:
        for one, pipeline in zip(kept, pipelines, strict=True):
            one.pipeline = pipeline
