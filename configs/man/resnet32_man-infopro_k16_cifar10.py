# ResNet-32 by MAN over InfoPro. The released weights, which fall with the stage s of the unit behind: 5 and
# 0.5 times 1 - s / 14.
# K = 16 counts the stem, as InfoPro and AugLocal do; here it is in the first of 15 blocks.
_base_ = ['../e2e/resnet32_cifar10.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=16),
        auxiliary=dict(
            _base_.man.auxiliary,
            bridge=dict(_base_.man.auxiliary.bridge, recompute=True),
            head=dict(layers='2c2f'),
            loss_weight=dict(layer1=0.5 * 13 / 14, layer2=0.5 * 12 / 14, layer3=0.5 * 11 / 14),
            terms=dict(
                reconstruction=dict(
                    type='mmlocal.Reconstruction',
                    loss_weight=dict(layer1=5.0 * 13 / 14, layer2=5.0 * 12 / 14, layer3=5.0 * 11 / 14),
                )
            ),
        ),
    )
)
