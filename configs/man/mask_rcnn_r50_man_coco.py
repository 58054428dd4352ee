# Mask R-CNN R50-FPN on COCO 2017, trained in four blocks by MAN; the local heads detect boxes only.
_base_ = ['mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet',
        # The host freezes stem and stage 1; the units behind them are divided:
        # layer2 | first half of layer3 | second half of layer3 | layer4 with neck and heads.
        partition=dict(type='Even', num_blocks=4),
        **_base_.man,
    )
)
