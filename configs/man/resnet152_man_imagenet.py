_base_ = ['mmpretrain::resnet/resnet152_8xb32_in1k.py', '../_base_/local/man_plus_plus.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet',
        partition=['layer2.6', 'layer3.13', 'layer3.25'],
        auxiliary={{_base_.man_plus_plus}},
    )
)
