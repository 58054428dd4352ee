# DeepLabV3 R101-d8 on Cityscapes by InfoPro (arXiv 2101.10832, released segmentation code): cut, head, decoder and
# weights at batch size 8.
_base_ = ['../e2e/deeplabv3_r101_cityscapes.py', '../_base_/local/infopro.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNetV1c',
        partition=['layer3.12'],
        auxiliary=dict(
            _base_.infopro.auxiliary,
            head=dict(decode_head=dict(channels=512)),
            loss_weight=1.0,
            terms=dict(
                reconstruction=dict(type='mmlocal.Reconstruction', widths=(128, 32, 12), by_steps=True, loss_weight=1.5)
            ),
        ),
    )
)
