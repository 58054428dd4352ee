# ViT-S/16 in four groups of three layers, with two copied layers each, as MAN++ has it (arXiv 2507.16279, released
# code).
_base_ = ['../e2e/vit-small_imagenet.py', '../_base_/local/man_plus_plus.py']
bridge = _base_.man_plus_plus.auxiliary.bridge
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        # The network has an `arch` of its own, which this replaces.
        arch=dict(_delete_=True, type='VisionTransformer', arch='deit-small'),
        partition=['layers.2', 'layers.5', 'layers.8'],
        auxiliary=dict(_base_.man_plus_plus.auxiliary, bridge=dict(bridge, units=dict(type='Next', depth=2))),
    )
)
