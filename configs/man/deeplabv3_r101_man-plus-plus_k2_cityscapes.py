# DeepLabV3 R101-d8 on Cityscapes in two blocks, at the cut of InfoPro (arXiv 2101.10832, released segmentation
# code) and with its local head, 512 channels wide; without its reconstruction.
_base_ = [
    'mmseg::deeplabv3/deeplabv3_r101-d8_4xb2-40k_cityscapes-512x1024.py',
    '../_base_/local/man_plus_plus.py',
]
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNetV1c',
        partition=['layer3.12'],
        auxiliary=dict(_base_.man_plus_plus.auxiliary, head=dict(decode_head=dict(channels=512))),
    )
)
