# ResNet-32 by MLAAN: windows of two blocks, as its released ResNet for CIFAR has them, and the published chains.
# K = 16 counts the stem, as InfoPro and AugLocal do; here it is in the first of 15 blocks.
_base_ = ['../e2e/resnet32_cifar10.py', '../_base_/local/mlaan.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=16),
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
