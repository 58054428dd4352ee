# ResNet-110 with one unit a remaining stage and the bank of pooled features [interpretation].
_base_ = ['../e2e/resnet110_cifar10.py', '../_base_/local/fba.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=55),
        **_base_.fba,
    )
)
