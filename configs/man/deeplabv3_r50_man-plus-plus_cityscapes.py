# DeepLabV3 R50-d8 on Cityscapes in four blocks, every stage but the last one cut at its end; neither
# paper's released code has this model.
_base_ = [
    'mmseg::deeplabv3/deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    '../_base_/local/man_plus_plus.py',
]
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNetV1c',
        partition=dict(type='Stage'),
        **_base_.man_plus_plus,
    )
)
