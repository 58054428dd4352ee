"""One mini config of each task, trained for a few iterations both ways and judged by the host's own metric.

Each learns a handful of images by heart and is judged on these, but for one: the score has to rise. To be judged on the
training images and no others is refused.
"""

import json
import math
from dataclasses import dataclass

import pytest

WAYS = ('e2e', 'man')


@dataclass(frozen=True)
class Task:
    """A mini config, the metric that has to rise, and what makes it quick: options that both ways share."""

    config: str
    metric: str
    layout: str
    images: int
    options: tuple[str, ...]

    def path(self, way):
        name, _, dataset = self.config.rpartition('_')
        return f'configs/{way}/{name}_{"man_" if way == "man" else ""}{dataset}.py'


def by_epoch(epochs):
    """Few epochs of all images, at a rate that needs no warm-up, judged at the beginning and at the end."""
    return (
        f'train_cfg.max_epochs={epochs}',
        f'train_cfg.val_interval={epochs // 2}',
        f'param_scheduler.1.T_max={epochs}',
        'param_scheduler.0.end=5',
        'train_dataloader.batch_size=4',
    )


QUIET = ('train_dataloader.num_workers=0', 'val_dataloader.num_workers=0')
QUIET += ('train_dataloader.persistent_workers=False', 'val_dataloader.persistent_workers=False')
TASKS = {
    'detection': Task(
        'faster_rcnn_r18_mini-coco',
        'coco/bbox_mAP_50',
        'coco',
        8,
        (
            'val_dataloader.dataset.ann_file=annotations/instances_train2017.json',
            'val_dataloader.dataset.data_prefix.img=train2017/',
            'val_evaluator.ann_file={root}/annotations/instances_train2017.json',
            'val_dataloader.dataset.indices=7',
            *by_epoch(24),
            'train_cfg.val_interval=6',  # early, as the score is soon near its end
        ),
    ),
    'detection-voc': Task(
        'faster_rcnn_r18_mini-voc',
        'pascal_voc/mAP',
        'voc',
        8,
        (
            'val_dataloader.dataset.ann_file=VOC2007/ImageSets/Main/trainval.txt',
            'val_dataloader.dataset.indices=7',
            *by_epoch(24),
        ),
    ),
    'segmentation': Task(
        'deeplabv3_r18_mini-cityscapes',
        'mIoU',
        'cityscapes',
        8,
        (
            'val_dataloader.dataset.data_prefix.img_path=leftImg8bit/train',
            'val_dataloader.dataset.data_prefix.seg_map_path=gtFine/train',
            'val_dataloader.dataset.indices=7',
            'train_dataloader.dataset.pipeline.2.crop_size=(64,64)',
            *by_epoch(20),
        ),
    ),
    'classification': Task(
        'resnet32_mini-digits',
        'accuracy/top1',
        'digits',
        64,
        (
            'val_dataloader.dataset.data_prefix=train',
            'val_dataloader.dataset.indices=63',
            *by_epoch(30),
            'train_dataloader.batch_size=16',
        ),
    ),
    'super-resolution': Task(
        'edsr_x2_mini-div2k',
        'PSNR',
        'div2k',
        0,
        (
            'train_cfg.max_iters=40',
            'train_cfg.val_interval=20',
            'param_scheduler.0.end=5',
            'param_scheduler.1.T_max=40',
            'train_dataloader.batch_size=4',
            'model.generator.num_blocks=8',
        ),
    ),
}


def scores(work_dir, metric):
    """The metric of every validation, in order."""
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    logged = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [entry[metric] for entry in logged if metric in entry]


@pytest.mark.integration
@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('task', TASKS.values(), ids=list(TASKS))
def test_the_score_is_finite_and_rises(task, way, run, make_mini, tmp_path):
    root = make_mini(task.layout, task.images)
    roots = [f'{split}_dataloader.dataset.data_root={root}' for split in ('train', 'val', 'test')]
    options = [option.format(root=root) for option in (*QUIET, *task.options)]
    result = run('train', task.path(way), '--work-dir', tmp_path, '--cfg-options', *roots, *options)
    assert result.returncode == 0, result.stderr[-3000:]
    first, *_, last = scores(tmp_path, task.metric)
    assert math.isfinite(first)
    assert last > first, f'{task.metric} went from {first} to {last}'
