# The 2026 form (arXiv 2605.19533), an interpretation. Replaced units start from the mean of their neighbours, as the
# host's ImageNet weights were not trained with it. Weights that were are named by `init_cfg`, as any others.
_base_ = '../e2e/faster_rcnn_r50_coco.py'
model = dict(
    backbone=dict(type='mmlocal.ReplacementBackbone', arch='ResNet', every=3, form='transformation', on_unfit='skip')
)
