# In a ResNet-18 the second unit of a stage stands before one of another shape: channels are fused.
_base_ = '../e2e/deeplabv3_r18_mini-cityscapes.py'
model = dict(
    backbone=dict(type='mmlocal.ReplacementBackbone', arch='ResNetV1c', every=2, form='transformation', on_unfit='skip')
)
