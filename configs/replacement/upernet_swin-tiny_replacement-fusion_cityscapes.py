# The 2026 form (arXiv 2605.19533), an interpretation. Replaced units start from the mean of their neighbours, as the
# host's ImageNet weights were not trained with it. Weights that were are named by `init_cfg`, as any others.
_base_ = '../e2e/upernet_swin-tiny_cityscapes.py'
model = dict(
    backbone=dict(
        type='mmlocal.ReplacementBackbone', arch='SwinTransformer', every=2, form='transformation', on_unfit='skip'
    )
)
