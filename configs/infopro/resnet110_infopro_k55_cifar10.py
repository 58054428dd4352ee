# ResNet-110 by InfoPro, the stem a block of its own, with the weights of its ResNet-110, K = 16, softmax.
# K = 55 counts the stem, which is a block of its own: 55 blocks.
_base_ = ['../e2e/resnet110_cifar10.py', '../_base_/local/infopro.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=55, stem_alone=True),
        auxiliary=dict(
            _base_.infopro.auxiliary,
            loss_weight=(0.0, 1.0),
            terms=dict(reconstruction=dict(type='mmlocal.Reconstruction', loss_weight=(5.0, 0.5))),
        ),
    )
)
# InfoPro's own length; its descendants train 400 epochs.
train_cfg = dict(max_epochs=160)
param_scheduler = dict(T_max=160)
