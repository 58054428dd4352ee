"""The configurations that `make bench-soak` kills and resumes: small ones, each with other parts that have a state."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

DIGITS = """
_base_ = '{root}/configs/{base}'
custom_hooks = []
train_dataloader = dict(batch_size=8, dataset=dict(data_root='{data}/mini-digits', indices=8 * {batches}))
val_dataloader = dict(batch_size=4, dataset=dict(data_root='{data}/mini-digits', indices=16))
test_dataloader = dict(dataset=dict(data_root='{data}/mini-digits'))
train_cfg = dict(max_epochs={epochs}, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end={batches}),
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max={epochs}, eta_min=1e-5),
]
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=1, save_best='auto'))
"""
COCO = """
_base_ = '{root}/configs/e2e/faster_rcnn_r18_mini-coco.py'
custom_hooks = []
model = dict(backbone=dict(base_channels=8), neck=dict(in_channels=[8, 16, 32, 64]))
train_dataloader = dict(batch_size=2, dataset=dict(data_root='{data}/mini-coco/', indices=2 * {batches}))
val_dataloader = dict(batch_size=2, dataset=dict(data_root='{data}/mini-coco/', indices=4))
test_dataloader = dict(dataset=dict(data_root='{data}/mini-coco/'))
val_evaluator = test_evaluator = dict(ann_file='{data}/mini-coco/annotations/instances_val2017.json')
train_cfg = dict(max_epochs={epochs}, val_interval=1)
param_scheduler = [dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end={batches})]
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=1))
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 64)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader['dataset']['pipeline'] = pipeline
"""
BY_ITERATIONS = """
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters={epochs} * {batches}, val_interval={batches})
param_scheduler = [dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end={batches})]
default_hooks['checkpoint'].update(by_epoch=False, interval=2)
"""
EVERY_ITERATION = "default_hooks['checkpoint'].update(by_epoch=False, interval=1)\n"


@dataclass(frozen=True)
class Configuration:
    """A config file and the tool's arguments for it.

    Args:
        name: of its row.
        special: the lines behind the common ones.
        arguments: of tools/train.py.
        common: what the config begins with.
        base: the config that it inherits.
    """

    name: str
    special: str = ''
    arguments: tuple = ('--local', 'man')
    common: str = DIGITS
    base: str = 'e2e/resnet32_mini-digits.py'

    def write(self, folder, data, epochs, batches):
        """Write the config file, and return the arguments for the tool."""
        text = (self.common + self.special).format(root=ROOT, data=data, base=self.base, epochs=epochs, batches=batches)
        path = folder / f'{"".join(c if c.isalnum() else "_" for c in self.name)}.py'
        path.write_text(text)
        return [str(path), *self.arguments]


CONFIGURATIONS = (
    Configuration('MAN, per block'),
    Configuration(
        'MAN, joint, clipped, SGD',
        """
optim_wrapper = dict(
    step_policy='joint', clip_grad=dict(max_norm=1.0), type='mmlocal.BlockwiseOptimWrapper',
    optimizer=dict(_delete_=True, type='SGD', lr=0.05, momentum=0.9, nesterov=True),
)
""",
    ),
    Configuration(
        'MAN by iterations, two lasting workers',
        BY_ITERATIONS + "train_dataloader.update(num_workers=2, sampler=dict(type='InfiniteSampler'))\n",
    ),
    Configuration('HPFF (reach 2)', arguments=('--local', 'hpff')),
    Configuration('MLAAN (reach 3)', EVERY_ITERATION, arguments=('--local', 'mlaan')),
    Configuration(
        'DGL, three batches a step',
        EVERY_ITERATION + 'optim_wrapper = dict(accumulative_counts=3)\n',
        arguments=('--local', 'dgl'),
    ),
    Configuration('InfoPro, bfloat16', arguments=('--local', 'infopro', '--amp')),
    Configuration(
        'MAN, EMAHook, EarlyStoppingHook',
        "custom_hooks = [dict(type='EMAHook', momentum=0.1, update_buffers=True), "
        "dict(type='EarlyStoppingHook', monitor='accuracy/top1', patience={epochs} - 1)]\n",
    ),
    Configuration(
        'PredSim, SwitchRecipeHook, no workers',
        'train_dataloader.update(num_workers=0, persistent_workers=False)\n'
        "custom_hooks = [dict(type='SwitchRecipeHook', schedule=[dict(action_epoch=2, train_pipeline=["
        "dict(type='LoadImageFromFile'), dict(type='RandomCrop', crop_size=32, padding=2), "
        "dict(type='ColorJitter', brightness=0.4), dict(type='PackInputs')])])]\n",
        arguments=('--local', 'predsim'),
    ),
    Configuration(
        'Replacement Learning, stock wrapper',
        EVERY_ITERATION,
        arguments=(),
        base='replacement/resnet32_replacement_mini-digits.py',
    ),
    Configuration(
        'detector, MAN, PipelineSwitchHook, BatchSyncRandomResize',
        EVERY_ITERATION + "custom_hooks = [dict(type='PipelineSwitchHook', switch_epoch=1, switch_pipeline=["
        "*pipeline[:3], dict(type='PhotoMetricDistortion'), *pipeline[3:]])]\n"
        "model['data_preprocessor'] = dict(batch_augments=[dict(type='BatchSyncRandomResize', "
        'random_size_range=(64, 128), size_divisor=32, interval=3)])\n',
        common=COCO,
    ),
    Configuration(
        'detector, MAN++, CachedMosaic, two batches a step',
        EVERY_ITERATION + 'optim_wrapper = dict(accumulative_counts=2)\n'
        "pipeline.insert(2, dict(type='CachedMosaic', img_scale=(64, 64), max_cached_images=6))\n"
        'train_dataloader.update(num_workers=2, persistent_workers=False)\n',
        arguments=('--local', 'man_plus_plus'),
        common=COCO,
    ),
)
