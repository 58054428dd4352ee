# ResNet-32 by MAN++ over DGL, with the release's form of DGL's classifier and the stem a block of its own.
_base_ = ['../e2e/resnet32_cifar10.py', '../_base_/local/man_plus_plus.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=16, stem_alone=True),
        auxiliary=dict(
            _base_.man_plus_plus.auxiliary,
            bridge=dict(_base_.man_plus_plus.auxiliary.bridge, recompute=True),
            head=dict(type='mmlocal.DGLHead', size=8, channels=128, last_size=1),
        ),
    )
)
