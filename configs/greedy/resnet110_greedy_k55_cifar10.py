# ResNet-110 with a linear classifier behind every residual unit.
_base_ = ['../e2e/resnet110_cifar10.py', '../_base_/local/greedy.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=55),
        **_base_.greedy,
    )
)
