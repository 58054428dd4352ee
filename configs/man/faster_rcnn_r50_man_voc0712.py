# Faster R-CNN R50-FPN on VOC 2007 and 2012, tested on VOC 2007, in four blocks behind the frozen stage.
_base_ = ['mmdet::pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet',
        partition=dict(type='Even', num_blocks=4),
        **_base_.man,
    )
)
