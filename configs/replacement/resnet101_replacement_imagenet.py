# The 2024 form (arXiv 2410.01239); the last units of stages have neighbours of another shape and stay.
_base_ = '../e2e/resnet101_imagenet.py'
model = dict(backbone=dict(type='mmlocal.ReplacementBackbone', arch='ResNet', every=4, on_unfit='skip'))
