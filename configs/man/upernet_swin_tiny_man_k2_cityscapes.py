# UPerNet with Swin-T on Cityscapes in two blocks, cut in the middle of stage 3 (an interpretation).
_base_ = ['../e2e/upernet_swin_tiny_cityscapes.py', '../_base_/local/man_plus_plus.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='SwinTransformer',
        partition=['stages.2.2'],
        **_base_.man_plus_plus,
    )
)
