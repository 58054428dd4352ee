# ResNet-32 by InfoPro, the stem a block of its own, with the weights of its ResNet-32, K = 16, softmax.
# K = 16 counts the stem, which is a block of its own: 16 blocks.
_base_ = ['../e2e/resnet32_cifar10.py', '../_base_/local/infopro.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=16, stem_alone=True),
        **_base_.infopro,
    )
)
# InfoPro's own length; its descendants train 400 epochs.
train_cfg = dict(max_epochs=160)
param_scheduler = dict(T_max=160)
