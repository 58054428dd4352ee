_base_ = [
    '../_base_/models/deeplabv3_r18-d16_mini.py',
    '../_base_/datasets/mini-cityscapes_segmentation.py',
    '../_base_/schedules/schedule_mini.py',
    'mmseg::_base_/default_runtime.py',
]
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=10),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=4, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
)
log_processor = dict(by_epoch=True)
custom_hooks = [dict(type='mmlocal.PeakMemoryHook')]
randomness = dict(seed=0)
train_cfg = dict(max_epochs=20, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=20, eta_min=1e-5),
]
