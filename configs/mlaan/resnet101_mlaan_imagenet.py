# ResNet-101 on ImageNet by MLAAN: a block for every residual unit, the published chains.
_base_ = ['../e2e/resnet101_imagenet.py', '../_base_/local/mlaan.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet',
        partition=dict(type='Each'),
        **_base_.mlaan,
    )
)
