# DeepLabV3 R50-d8 on Cityscapes in two blocks: cut in the middle of stage 3, as InfoPro cuts R101.
_base_ = [
    'mmseg::deeplabv3/deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    '../_base_/local/man_plus_plus.py',
]
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNetV1c',
        partition=['layer3.2'],
        **_base_.man_plus_plus,
    )
)
