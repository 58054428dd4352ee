_base_ = [
    '../_base_/models/yolov8_n_mini.py',
    '../_base_/datasets/mini-coco_yolo.py',
    '../_base_/schedules/schedule_mini.py',
    'mmyolo::_base_/default_runtime.py',
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=4, max_keep_ckpts=2))
custom_hooks = [dict(type='mmlocal.PeakMemoryHook')]
randomness = dict(seed=0)
