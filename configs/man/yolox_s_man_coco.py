# YOLOX-S on COCO 2017 in four blocks of equal numbers of units (an interpretation: no cuts are published); the
# local heads are YOLOX's own.
_base_ = ['mmdet::yolox/yolox_s_8xb8-300e_coco.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='CSPDarknet',
        partition=dict(type='Even', num_blocks=4),
        **_base_.man,
    )
)
