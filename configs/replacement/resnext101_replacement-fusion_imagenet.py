# The 2026 form (arXiv 2605.19533), an interpretation.
_base_ = '../e2e/resnext101_imagenet.py'
model = dict(
    backbone=dict(type='mmlocal.ReplacementBackbone', arch='ResNeXt', every=3, form='transformation', on_unfit='skip')
)
