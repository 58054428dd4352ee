_base_ = [
    '../_base_/models/resnet18_mini.py',
    '../_base_/datasets/mini-digits_classification.py',
    '../_base_/schedules/schedule_mini.py',
    'mmpretrain::_base_/default_runtime.py',
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=4, max_keep_ckpts=2))
custom_hooks = [dict(type='mmlocal.PeakMemoryHook')]
randomness = dict(seed=0)
train_cfg = dict(max_epochs=10, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=10, eta_min=1e-5),
]
