# EDSR-baseline x2 on DIV2K with one unit a later block and the shallow feature as bank [interpretation].
_base_ = ['../e2e/edsr_x2_div2k.py', '../_base_/local/fba.py']
model = dict(
    generator=dict(
        type='mmlocal.LocalBackbone',
        arch='EDSRNet',
        partition=dict(type='Even', num_blocks=4),
        **_base_.fba,
    )
)
