# Trained locally, one block a stage, each with one replaced unit and its neighbours inside.
_base_ = ['../e2e/resnet32_mini-digits.py', '../_base_/local/dgl.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch=dict(type='mmlocal.ReplacementBackbone', arch='mmlocal.CifarResNet', every=4),
        partition=dict(type='Stage'),
        **_base_.dgl,
    )
)
