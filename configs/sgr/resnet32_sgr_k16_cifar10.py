# ResNet-32 by successive gradient reconciliation [interpretation of an abstract].
# K = 16 counts the stem, as InfoPro and AugLocal do; here it is in the first of 15 blocks.
_base_ = ['../e2e/resnet32_cifar10.py', '../_base_/local/sgr.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=16),
        **_base_.sgr,
    )
)
