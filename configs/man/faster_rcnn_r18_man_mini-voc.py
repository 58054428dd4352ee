_base_ = ['../e2e/faster_rcnn_r18_mini-voc.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet',
        partition=dict(type='Stage'),
        **_base_.man,
    )
)
