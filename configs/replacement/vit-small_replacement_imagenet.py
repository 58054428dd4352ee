# Three of twelve layers; two scalars a layer (arXiv 2410.01239).
_base_ = '../e2e/vit-small_imagenet.py'
model = dict(
    backbone=dict(
        type='mmlocal.ReplacementBackbone',
        # The network has an `arch` of its own, which this replaces.
        arch=dict(_delete_=True, type='VisionTransformer', arch='deit-small'),
        every=4,
    )
)
