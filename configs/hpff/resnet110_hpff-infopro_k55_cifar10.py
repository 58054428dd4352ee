# As ResNet-32's, 110 layers deep: weights times 52/53 at the first window to 1/53 at the last.
# K = 55 counts the stem, which is in the first of 54 blocks.
_base_ = './resnet32_hpff-infopro_k16_cifar10.py'
model = dict(
    backbone=dict(
        depth=110,
        partition=dict(num_blocks=55),
        auxiliary=dict(
            cascade=dict(
                loss_weight=(0.5, 0.5 / 53),
                terms=dict(reconstruction=dict(loss_weight=(5.0, 5.0 / 53))),
            ),
        ),
    )
)
