"""A runner of mmengine's own, with a model, a dataset and a metric as small as can be."""

from typing import ClassVar

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset


class Numbers(Dataset):
    metainfo = dict(classes=('a', 'b'))

    def __init__(self, count=5):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return dict(inputs=torch.full((3,), float(index)))


class Part(nn.Module):
    def __init__(self, width=3, fail=''):
        super().__init__()
        self.linear = nn.Linear(3, width)
        self.fail = fail

    def forward(self, x, mode):
        if self.fail == mode:
            raise ValueError(f'no {mode} with width {self.linear.out_features}')
        return self.linear(x)


class Toy(BaseModel):
    def __init__(self, part, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.part = MODELS.build(part)

    def forward(self, inputs, mode='tensor'):
        output = self.part(torch.stack(inputs), mode)
        return dict(loss=output.square().mean()) if mode == 'loss' else list(output)


class Counted(BaseMetric):
    """Of a whole dataset alone, if `whole`; with `digits` it cannot tell anything."""

    seen: ClassVar = []
    whole = False

    def __init__(self, digits=None):
        super().__init__()
        self.digits = digits

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        self.seen.append(len(results))
        if self.digits is not None:
            raise KeyError('digits')
        if self.whole and len(results) < Numbers().count:
            raise AssertionError('not all of them')
        return dict(count=len(results))


TYPES = {'Numbers': (DATASETS, Numbers), 'Part': (MODELS, Part), 'Toy': (MODELS, Toy), 'Counted': (METRICS, Counted)}


@pytest.fixture
def make_runner(tmp_path):
    """A runner on changes of its config: `make_runner(metric=dict(digits=2), part=dict(fail='loss'))`."""
    for registry, kind in TYPES.values():
        registry.register_module(module=kind, force=True)
    Counted.seen.clear()

    def make(part=(), metric=(), hooks=()):
        loader = dict(
            batch_size=2,
            num_workers=0,
            dataset=dict(type='Numbers'),
            sampler=dict(type='DefaultSampler', shuffle=False),
        )
        cfg = dict(
            model=dict(type='Toy', part=dict(type='Part', **dict(part))),
            work_dir=str(tmp_path),
            train_dataloader=loader,
            val_dataloader=loader,
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=2),
            val_cfg=dict(type='ValLoop'),
            val_evaluator=dict(type='Counted', **dict(metric)),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)),
            custom_hooks=list(hooks),
            experiment_name=f'toy_{len(list(tmp_path.iterdir()))}_{tmp_path.name}',
            default_scope='mmengine',
        )
        return Runner.from_cfg(cfg)

    yield make
    for registry, kind in TYPES.values():
        registry.module_dict.pop(kind.__name__)
    HOOKS.module_dict.pop('Failing', None)
