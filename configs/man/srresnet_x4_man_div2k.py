# SRResNet (MSRResNet) x4 on DIV2K in four blocks of equal numbers of units (an interpretation).
_base_ = ['../e2e/srresnet_x4_div2k.py', '../_base_/local/man.py']
model = dict(
    generator=dict(
        type='mmlocal.LocalBackbone',
        arch='MSRResNet',
        partition=dict(type='Even', num_blocks=4),
        **_base_.man,
    )
)
