# ResNet-152 on ImageNet by InfoPro in two blocks: cut, decoder and weights of the release; its classifier 1c2f in
# place of the release's own one for ImageNet.
_base_ = ['../e2e/resnet152_imagenet.py', '../_base_/local/infopro.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='ResNet',
        partition=dict(type='Published', num_blocks=2),
        auxiliary=dict(
            _base_.infopro.auxiliary,
            loss_weight=1.0,
            terms=dict(reconstruction=dict(type='mmlocal.Reconstruction', loss_weight=5.0)),
        ),
    )
)
