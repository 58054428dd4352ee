# ResNet-32 by AugLocal: every unit a block, the last four together, the depth of the released code's rule.
# K = 16 counts the stem, a block of its own, and the last four units, which are one block: 13 blocks.
_base_ = ['../e2e/resnet32_cifar10.py', '../_base_/local/auglocal.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Each', tail=4),
        **_base_.auglocal,
    )
)
