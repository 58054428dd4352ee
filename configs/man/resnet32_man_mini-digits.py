# The cuts and the local classifier of MAN's released code; no reconstruction.
_base_ = ['../e2e/resnet32_mini-digits.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=4),
        auxiliary=dict(_base_.man.auxiliary, head=dict(layers='2c2f')),
    )
)
