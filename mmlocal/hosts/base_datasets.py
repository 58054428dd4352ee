"""The datasets inside of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ['base_datasets_of']


def base_datasets_of(dataset: Any, place: str) -> Iterator[tuple[Any, str]]:
    """The datasets inside of wrappers and concatenations that read files, each with its place in the config."""
    if hasattr(dataset, 'prepare_data') and hasattr(dataset, 'get_data_info'):
        yield dataset, place
    elif hasattr(dataset, 'datasets'):
        for i, one in enumerate(dataset.datasets):
            yield from base_datasets_of(one, f'{place}.datasets[{i}]')
    elif hasattr(dataset, 'dataset'):
        yield from base_datasets_of(dataset.dataset, f'{place}.dataset')
    elif hasattr(dataset, '_dataset'):  # mmengine's cut to num_batch_per_epoch
        yield from base_datasets_of(dataset._dataset, place)
