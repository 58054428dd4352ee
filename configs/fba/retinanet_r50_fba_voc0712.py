# RetinaNet with one unit a remaining stage and a local pyramid of the bank's levels [interpretation].
_base_ = ['../e2e/retinanet_r50_voc0712.py', '../_base_/local/fba.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet',
        partition=dict(type='Stage'),
        **_base_.fba,
    )
)
