"""A run of a fraction of a second, whole in all that a checkpoint has to hold."""

import multiprocessing
import os
import signal
from pathlib import Path

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

SCORES = (1.0, 3.0, 2.0, 4.0, 5.0, 0.0)


class Toy(BaseModel):
    """One layer; what it draws is a part of its loss."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 1)
        self.register_buffer('batches', torch.tensor(0))

    def forward(self, inputs, mode='tensor'):
        if mode != 'loss':
            return [self.batches]
        self.batches += 1
        return dict(loss=(self.linear(inputs) * torch.rand(())).square().mean())


class Points(Dataset):
    def __init__(self, count=6):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return dict(inputs=torch.arange(4.0) + index)


class Score(BaseMetric):
    """Known beforehand, by how much was trained."""

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(score=SCORES[int(results[0]) // 3 - 1])


def toy_runner(
    work_dir,
    epochs=3,
    loop='mmlocal.ResumableEpochLoop',
    points=6,
    val_interval=1,
    hooks=('mmlocal.ExactResumeHook',),
    **kwargs,
):
    """Saves after each of the epochs of three iterations, keeps one checkpoint and the best."""
    checkpoint = dict(
        type='mmlocal.SafeCheckpointHook', interval=1, max_keep_ckpts=1, save_best='score', rule='greater'
    )
    checkpoint.update(kwargs.pop('checkpoint', {}))
    kwargs.setdefault('randomness', dict(seed=0))
    loader = dict(batch_size=2, collate_fn=dict(type='default_collate'))
    torch.manual_seed(0)
    return Runner(
        model=Toy(),
        work_dir=str(work_dir),
        train_dataloader=dict(loader, dataset=Points(points), sampler=dict(type='DefaultSampler', shuffle=True)),
        val_dataloader=dict(loader, dataset=Points(2), sampler=dict(type='DefaultSampler', shuffle=False)),
        val_evaluator=Evaluator(Score()),
        train_cfg=dict(type=loop, max_epochs=epochs, val_interval=val_interval),
        val_cfg=dict(type='ValLoop'),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=[dict(type='LinearLR', start_factor=0.5, end=epochs)],
        default_hooks=dict(checkpoint=checkpoint),
        custom_hooks=[dict(type=hook) for hook in hooks],
        default_scope='mmengine',
        log_level='ERROR',
        experiment_name=f'{Path(work_dir).name}_{os.urandom(4).hex()}',
        **kwargs,
    )


def end_of(work_dir):
    """Weights, optimizer and schedule at the end of a run."""
    checkpoint = torch.load((work_dir / 'last_checkpoint').read_text(), weights_only=False)
    moments = [value['momentum_buffer'] for value in checkpoint['optimizer']['state'].values()]
    return [*checkpoint['state_dict'].values(), *moments, torch.tensor(checkpoint['meta']['iter'])]


def forked(function, *args):
    """Run in a child of this process, and return its exit code; it cannot harm this one."""

    def quiet():
        with open(os.devnull, 'w') as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        function(*args)

    child = multiprocessing.get_context('fork').Process(target=quiet)
    child.start()
    child.join(120)
    return child.exitcode


def die():
    os.kill(os.getpid(), signal.SIGKILL)
