_base_ = '../e2e/resnet32_mini-digits.py'
model = dict(
    backbone=dict(
        type='mmlocal.ReplacementBackbone', arch='mmlocal.CifarResNet', every=3, form='transformation', on_unfit='skip'
    )
)
