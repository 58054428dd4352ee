_base_ = [
    '../_base_/models/retinanet_r18_fpn_mini.py',
    '../_base_/datasets/mini-coco_detection.py',
    '../_base_/schedules/schedule_mini.py',
    'mmdet::_base_/default_runtime.py',
]
