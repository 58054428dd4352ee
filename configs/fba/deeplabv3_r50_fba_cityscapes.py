# DeepLabV3 R50-d8 on Cityscapes with one unit a remaining stage and the first stage's feature as bank
# [interpretation].
_base_ = ['../e2e/deeplabv3_r50_cityscapes.py', '../_base_/local/fba.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNetV1c',
        partition=dict(type='Stage'),
        **_base_.fba,
    )
)
