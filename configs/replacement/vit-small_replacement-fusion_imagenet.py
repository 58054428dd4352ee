# Three of twelve layers; q, k, v, projection, MLP and norms have scalars of their own (arXiv 2605.19533, an
# interpretation).
_base_ = '../e2e/vit-small_imagenet.py'
model = dict(
    backbone=dict(
        type='mmlocal.ReplacementBackbone',
        # The network has an `arch` of its own, which this replaces.
        arch=dict(_delete_=True, type='VisionTransformer', arch='deit-small'),
        every=4,
        form='transformation',
    )
)
