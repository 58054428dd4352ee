# DeepLabV3 R101-d8 on Cityscapes in four blocks, at the cuts of MAN++ for ImageNet (an interpretation).
_base_ = [
    'mmseg::deeplabv3/deeplabv3_r101-d8_4xb2-40k_cityscapes-512x1024.py',
    '../_base_/local/man_plus_plus.py',
]
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNetV1c',
        partition=dict(type='Published', num_blocks=4),
        **_base_.man_plus_plus,
    )
)
