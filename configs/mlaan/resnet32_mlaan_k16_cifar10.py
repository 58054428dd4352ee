# ResNet-32 by MLAAN: windows of three blocks, the published chains.
_base_ = ['../e2e/resnet32_cifar10.py', '../_base_/local/mlaan.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=16),
        **_base_.mlaan,
    )
)
