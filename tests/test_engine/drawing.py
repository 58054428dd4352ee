"""Datasets whose samples are what was drawn for them; a module by itself, for workers that are spawned to import."""

import random

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset, IterableDataset


def draw():
    """One number of each generator that transforms draw from."""
    return [random.random(), float(np.random.rand()), torch.rand((), dtype=torch.float64).item()]


class Drawn(Dataset):
    """A plain dataset of torch."""

    def __init__(self, count=4):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return dict(inputs=torch.tensor([index, *draw()], dtype=torch.float64))


class DrawnTogether(Drawn):
    """Fetches a batch at once, without going through it."""

    def __getitems__(self, indices):
        count = len(indices)
        return [self[indices[i]] for i in range(count)]


class DrawnInRow(IterableDataset):
    def __iter__(self):
        for index in range(6):
            yield dict(inputs=torch.tensor([index, *draw()], dtype=torch.float64))


class Pipelined(BaseDataset):
    """A dataset of mmengine; at `gap` it asks for another sample at random, as for images without an object."""

    def __init__(self, count=3, gap=None, offset=0):
        self.count, self.gap, self.offset = count, gap, offset
        super().__init__(ann_file='', serialize_data=False, pipeline=[self.drawn], lazy_init=False)

    def load_data_list(self):
        return [dict(number=self.offset + i) for i in range(self.count)]

    def drawn(self, results):
        number = results['number']
        if self.gap is not None and random.random() < self.gap:
            return None
        return dict(inputs=torch.tensor([number, *draw()], dtype=torch.float64))

    def get_cat_ids(self, index):
        return [index % 3 == 0]


class Mix:
    """A transform of several samples, which says which ones."""

    def get_indexes(self, dataset):
        return [random.randrange(len(dataset)) for _ in range(3)]

    def __call__(self, results):
        mixed = results.pop('mix_results')
        results['inputs'] = results['inputs'] + sum(one['inputs'] for one in mixed) + random.random()
        return results
