_base_ = [
    '../_base_/models/resnet32_cifar.py',
    '../_base_/datasets/mini-digits_classification.py',
    '../_base_/schedules/schedule_mini.py',
    'mmpretrain::_base_/default_runtime.py',
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=4, max_keep_ckpts=2))
custom_hooks = [dict(type='mmlocal.PeakMemoryHook')]
randomness = dict(seed=0)
