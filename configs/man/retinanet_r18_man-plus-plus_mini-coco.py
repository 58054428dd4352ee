_base_ = ['../e2e/retinanet_r18_mini-coco.py', '../_base_/local/man_plus_plus.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet',
        partition=dict(type='Stage'),
        **_base_.man_plus_plus,
    )
)
