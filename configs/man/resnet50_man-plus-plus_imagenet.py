# ResNet-50 on ImageNet in four blocks of equal numbers of units (an interpretation: no cuts are published),
# with a linear local head and the host's own schedule.
_base_ = ['mmpretrain::resnet/resnet50_8xb32_in1k.py', '../_base_/local/man_plus_plus.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet',
        partition=dict(type='Even', num_blocks=4),
        **_base_.man_plus_plus,
    )
)
