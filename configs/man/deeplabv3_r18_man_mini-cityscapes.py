_base_ = ['../e2e/deeplabv3_r18_mini-cityscapes.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNetV1c',
        partition=dict(type='Even', num_blocks=4),
        **_base_.man,
    )
)
