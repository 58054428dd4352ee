_base_ = ['../e2e/resnet32_mini-digits.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=4),
        auxiliary={{_base_.man}},
    )
)
