# The cuts and the local classifier of MAN's released code; no reconstruction.
_base_ = ['../e2e/resnet32_mini-digits.py', '../_base_/local/man.py']
man = _base_.man
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Published', num_blocks=4),
        auxiliary=dict(man, head=dict(layers='2c2f')),
    )
)
