# ResNeXt-101 32x8d on ImageNet at the cuts of MAN++ (arXiv 2507.16279, released code), with a linear local
# head in place of InfoPro's, and the host's own schedule.
_base_ = ['mmpretrain::resnext/resnext101-32x8d_8xb32_in1k.py', '../_base_/local/man_plus_plus.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNeXt',
        partition=dict(type='Published', num_blocks=4),
        **_base_.man_plus_plus,
    )
)
