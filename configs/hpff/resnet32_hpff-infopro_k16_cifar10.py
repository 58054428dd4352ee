# ResNet-32 by HPFF over InfoPro, released weights: 5 and 0.5, times 13/14 at the first window to 1/14 at the last
# (the first block, which would have 14/14, has no loss). K = 16 counts the stem, which is in the first of 15 blocks.
_base_ = ['../e2e/resnet32_cifar10.py', '../_base_/local/hpff.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=16),
        reach=2,
        full_windows=True,
        auxiliary=dict(
            _base_.hpff.auxiliary,
            cascade=dict(
                _base_.hpff.auxiliary.cascade,
                loss_weight=(0.5, 0.5 / 14),
                terms=dict(reconstruction=dict(type='mmlocal.Reconstruction', loss_weight=(5.0, 5.0 / 14))),
            ),
        ),
    )
)
