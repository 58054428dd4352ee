# YOLOv8-S on COCO 2017 in four blocks of equal numbers of units (an interpretation); the local heads are
# YOLOv8's own. It needs mmyolo.
_base_ = ['mmyolo::yolov8/yolov8_s_syncbn_fast_8xb16-500e_coco.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        # The network has an `arch` of its own, which this replaces.
        arch=dict(_delete_=True, type='YOLOv8CSPDarknet', arch='P5'),
        partition=dict(type='Even', num_blocks=4),
        **_base_.man,
    )
)
