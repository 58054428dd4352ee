# ViT-S/16 in four groups of three layers, as MAN++ cuts it (arXiv 2507.16279, released code; its auxiliary has
# one more layer).
_base_ = ['../e2e/vit_small_imagenet.py', '../_base_/local/man_plus_plus.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        # The network has an `arch` of its own, which this replaces.
        arch=dict(_delete_=True, type='VisionTransformer', arch='deit-small'),
        partition=['layers.2', 'layers.5', 'layers.8'],
        **_base_.man_plus_plus,
    )
)
