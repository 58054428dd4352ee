# ResNet-152 on ImageNet by HPFF, at the released cuts.
_base_ = ['../e2e/resnet152_imagenet.py', '../_base_/local/hpff.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet',
        partition=['layer3.0', 'layer3.9', 'layer3.17'],
        **_base_.hpff,
    )
)
