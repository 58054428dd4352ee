# ResNet-110 by PredSim, whose paper trains VGG networks: at the cuts of the others [interpretation].
# K = 55 counts the stem, as InfoPro and AugLocal do; here it is in the first of 54 blocks.
_base_ = ['../e2e/resnet110_cifar10.py', '../_base_/local/predsim.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=55),
        **_base_.predsim,
    )
)
