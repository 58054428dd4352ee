# RetinaNet R50-FPN on COCO 2017 as MAN++ trains it (arXiv 2507.16279, released code): stem and stage 1,
# stage 2, stage 3, stage 4 with neck and heads; nothing frozen, batch statistics, light local heads.
_base_ = ['mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', '../_base_/local/man_plus_plus.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet',
        partition=dict(type='Stage'),
        frozen_stages=-1,
        norm_eval=False,
        # One level each, but the last auxiliary has stride 32, 64 and 128.
        auxiliary=[
            _base_.man_plus_plus.auxiliary,
            _base_.man_plus_plus.auxiliary,
            dict(_base_.man_plus_plus.auxiliary, head=dict(num_levels=3)),
        ],
    )
)
# The release clips the norm of all gradients together, which needs one step for all blocks.
optim_wrapper = dict(type='mmlocal.BlockwiseOptimWrapper', clip_grad=dict(max_norm=1.0, norm_type=2))
