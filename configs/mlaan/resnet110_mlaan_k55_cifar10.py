# ResNet-110 by MLAAN: windows of two blocks, as its released ResNet for CIFAR has them, and the published chains.
_base_ = ['../e2e/resnet110_cifar10.py', '../_base_/local/mlaan.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=55),
        reach=2,
        full_windows=True,
        auxiliary=dict(
            _base_.mlaan.auxiliary,
            cascade=dict(
                _base_.mlaan.auxiliary.cascade, bridge=dict(_base_.mlaan.auxiliary.cascade.bridge, recompute=True)
            ),
        ),
    )
)
