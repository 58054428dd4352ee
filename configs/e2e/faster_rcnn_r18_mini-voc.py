_base_ = [
    '../_base_/models/faster-rcnn_r18_fpn_mini.py',
    '../_base_/datasets/mini-voc_detection.py',
    '../_base_/schedules/schedule_mini.py',
    'mmdet::_base_/default_runtime.py',
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=4, max_keep_ckpts=2))
custom_hooks = [dict(type='mmlocal.PeakMemoryHook')]
randomness = dict(seed=0)
train_cfg = dict(max_epochs=10, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=10, eta_min=1e-5),
]
