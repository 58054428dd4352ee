# As MAN over InfoPro, with MAN++'s scalar, and the stem a block of its own.
_base_ = './resnet32_man-infopro_k16_cifar10.py'
model = dict(
    backbone=dict(partition=dict(stem_alone=True), auxiliary=dict(bridge=dict(scaling=True))),
)
