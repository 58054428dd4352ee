# The 2026 form (arXiv 2605.19533), an interpretation; behind the first unit of a stage channels are fused.
_base_ = '../e2e/resnet110_cifar10.py'
model = dict(
    backbone=dict(
        type='mmlocal.ReplacementBackbone', arch='mmlocal.CifarResNet', every=3, form='transformation', on_unfit='skip'
    )
)
