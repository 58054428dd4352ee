_base_ = ['../e2e/resnet18_mini-digits.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet_CIFAR',
        partition=dict(type='Even', num_blocks=4),
        auxiliary={{_base_.man}},
    )
)
