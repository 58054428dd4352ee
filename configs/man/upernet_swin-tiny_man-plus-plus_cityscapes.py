# UPerNet with Swin-T on Cityscapes in four blocks, every stage but the last one cut at its end (an interpretation).
_base_ = ['../e2e/upernet_swin-tiny_cityscapes.py', '../_base_/local/man_plus_plus.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='SwinTransformer',
        partition=dict(type='Stage'),
        **_base_.man_plus_plus,
    )
)
