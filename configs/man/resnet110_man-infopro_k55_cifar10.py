# ResNet-110 by MAN over InfoPro. The released weights fall with the stage, from 13/14 to 11/14 of 5 and 0.5; here
# they fall along the blocks.
_base_ = ['../e2e/resnet110_cifar10.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=55),
        auxiliary=dict(
            _base_.man.auxiliary,
            bridge=dict(_base_.man.auxiliary.bridge, recompute=True),
            head=dict(layers='2c2f'),
            loss_weight=(0.464, 0.393),
            terms=dict(reconstruction=dict(type='mmlocal.Reconstruction', loss_weight=(4.64, 3.93))),
        ),
    )
)
