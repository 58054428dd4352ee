# PSPNet R50-d8 on Cityscapes in four blocks, every stage but the last one cut at its end (an interpretation).
_base_ = [
    'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
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
