# ResNet-32 in 16 blocks, DGL's classifier behind every residual unit.
_base_ = ['../e2e/resnet32_cifar10.py', '../_base_/local/dgl.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=16),
        **_base_.dgl,
    )
)
