# ResNet-110 in 55 blocks: every residual unit and, as MAN++ counts, the stem by itself.
# The head is the published one (2c2f); without InfoPro's reconstruction this is MAN over DGL.
_base_ = ['../e2e/resnet110_cifar10.py', '../_base_/local/man_plus_plus.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=55, stem_alone=True),
        auxiliary=dict(_base_.man_plus_plus.auxiliary, head=dict(layers='2c2f')),
    )
)
