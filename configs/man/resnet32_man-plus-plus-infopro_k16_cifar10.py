# As MAN over InfoPro, with MAN++'s scalar, and the stem a block of its own. As released the stem's head is 1c2f with
# contrast, at weights 5 and 0.5.
_base_ = './resnet32_man-infopro_k16_cifar10.py'
bridge = dict(_base_.model.backbone.auxiliary.bridge, scaling=True)
others = dict(_base_.model.backbone.auxiliary, bridge=bridge)
stem = dict(
    others,
    head=dict(type='mmlocal.ContrastHead', layers='1c2f'),
    loss_weight=0.5,
    terms=dict(reconstruction=dict(type='mmlocal.Reconstruction', loss_weight=5.0)),
)
model = dict(backbone=dict(partition=dict(stem_alone=True), auxiliary=[stem, *[others] * 14]))
