# DeepLabV3 for images of 128x128 on a CPU: a thin ResNet-18 at stride 16, thin heads, rates for maps of 8x8.
_base_ = 'mmseg::_base_/models/deeplabv3_r50-d8.py'
norm_cfg = dict(type='BN', requires_grad=True)
# Four fifths of the pixels are background, which is the last class.
loss_decode = dict(class_weight=[1.0] * 10 + [0.1])
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    pretrained=None,
    backbone=dict(
        depth=18,
        base_channels=32,
        stem_channels=16,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(
        in_channels=256, channels=64, dilations=(1, 2, 3, 4), num_classes=11, norm_cfg=norm_cfg, loss_decode=loss_decode
    ),
    auxiliary_head=dict(in_channels=128, channels=32, num_classes=11, norm_cfg=norm_cfg, loss_decode=loss_decode),
)
