"""`Runner.val` and `Runner.test` with the hooks that training has: nothing of theirs stands in the way."""

import pytest
from mmengine.evaluator import BaseMetric
from mmengine.runner import Runner

from tests.test_engine.toy import Points, Toy, toy_runner

HOOKS = ['ExactResumeHook', 'MomentumHook', 'PeakMemoryHook', 'PlanHook', 'ProgressHook']


class One(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(score=1.0)


def config(work_dir):
    """Without anything of training, in the form that a file has."""
    loader = dict(
        batch_size=2,
        collate_fn=dict(type='default_collate'),
        dataset=Points(2),
        sampler=dict(type='DefaultSampler', shuffle=False),
    )
    best = dict(type='mmlocal.SafeCheckpointHook', interval=1, save_best='score', rule='greater')
    return dict(
        model=Toy(),
        work_dir=str(work_dir),
        val_dataloader=loader,
        test_dataloader=loader,
        val_evaluator=[One()],
        test_evaluator=[One()],
        val_cfg={},
        test_cfg={},
        default_hooks=dict(checkpoint=best),
        custom_hooks=[dict(type=f'mmlocal.{hook}') for hook in HOOKS],
        default_scope='mmengine',
        log_level='ERROR',
        experiment_name=work_dir.name,
    )


@pytest.mark.parametrize('what', ['val', 'test'])
def test_without_training(what, tmp_path):
    assert getattr(Runner(**config(tmp_path)), what)() == dict(score=1.0)
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize('load', [False, True], ids=['anew', 'resumed'])
def test_val_of_a_run(load, tmp_path):
    toy_runner(tmp_path, 2).train()
    before = sorted(path.name for path in tmp_path.glob('*.pth'))
    runner = toy_runner(tmp_path, 2, load_from=f'{tmp_path}/epoch_2.pth', resume=load)
    assert runner.val() == dict(score=3.0)
    # What is the best is found in training.
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == before
