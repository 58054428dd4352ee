"""Settings of loaders, and batches of one image."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop
from torch import nn
from torch.utils.data import DataLoader

from mmlocal.errors import ConfigError
from mmlocal.validation.data.batches import check_single_image
from mmlocal.validation.data.loaders import check_loaders


@pytest.mark.parametrize('name', ['persistent_workers', 'prefetch_factor'])
def test_what_is_for_workers_needs_some(name):
    cfg = dict(val_dataloader={'num_workers': 0, name: 2})
    with pytest.raises(
        ConfigError, match=rf'val_dataloader\.{name} = 2 needs num_workers above 0.* = None, or num_workers = 1'
    ):
        check_loaders(cfg, ['train', 'val'])
    check_loaders(dict(val_dataloader={'num_workers': 1, name: 2}), ['val'])


class Pooled(nn.Module):
    """Batch norm over a pooled map: one value a channel in a batch of one."""

    def __init__(self, pool=True):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1 if pool else 4)
        self.norm = nn.BatchNorm2d(3)

    def data_preprocessor(self, data, training):
        return dict(inputs=torch.stack(data['inputs']).float())

    def forward(self, inputs, mode):
        return dict(loss=self.norm(self.pool(inputs)).sum())


@pytest.mark.parametrize(
    ('images', 'size', 'drop_last', 'pool', 'refused'),
    [
        (9, 4, False, True, r'batch_size = 4 leaves a last batch of one of the 9 images.* Set drop_last=True'),
        (2, 1, False, True, r'batch_size = 1, and batch norm has one value a channel then: set batch_size = 2'),
        (9, 4, True, True, ''),
        (8, 4, False, True, ''),
        (9, 4, False, False, ''),
    ],
)
def test_batch_of_one_image(images, size, drop_last, pool, refused):
    samples = [dict(inputs=torch.zeros(3, 8, 8)) for _ in range(images)]

    def collate(batch):
        return dict(inputs=[one['inputs'] for one in batch])

    loader = DataLoader(samples, batch_size=size, drop_last=drop_last, collate_fn=collate)
    runner = SimpleNamespace(model=Pooled(pool), train_loop=EpochBasedTrainLoop.__new__(EpochBasedTrainLoop))
    if not refused:
        check_single_image(runner, loader, samples[0])
        return
    with pytest.raises(ConfigError, match=refused):
        check_single_image(runner, loader, samples[0])
