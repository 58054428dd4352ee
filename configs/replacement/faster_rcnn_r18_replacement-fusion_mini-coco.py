# In a ResNet-18 the second unit of a stage stands before one of another shape: channels are fused.
_base_ = '../e2e/faster_rcnn_r18_mini-coco.py'
model = dict(
    backbone=dict(type='mmlocal.ReplacementBackbone', arch='ResNet', every=2, form='transformation', on_unfit='skip')
)
