# ResNet-32 in 8 blocks at the published cuts, the stem in the first one.
# The head is the published one (2c2f); without InfoPro's reconstruction this is MAN over DGL.
_base_ = ['../e2e/resnet32_cifar10.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=8),
        auxiliary=dict(_base_.man.auxiliary, head=dict(layers='2c2f')),
    )
)
