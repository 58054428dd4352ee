# As ResNet-32's, 110 layers deep, with weights times 1 - s / 53.
# K = 55 counts the stem, as InfoPro and AugLocal do; here it is in the first of 54 blocks.
_base_ = './resnet32_man-infopro_k16_cifar10.py'
model = dict(
    backbone=dict(
        depth=110,
        partition=dict(num_blocks=55),
        auxiliary=dict(
            loss_weight=dict(layer1=0.5 * 52 / 53, layer2=0.5 * 51 / 53, layer3=0.5 * 50 / 53),
            terms=dict(
                reconstruction=dict(loss_weight=dict(layer1=5.0 * 52 / 53, layer2=5.0 * 51 / 53, layer3=5.0 * 50 / 53))
            ),
        ),
    )
)
