# As ResNet-32's, 110 layers deep.
# K = 55 counts the stem, as InfoPro and AugLocal do; here it is in the first of 54 blocks.
_base_ = './resnet32_mlaan_k16_cifar10.py'
model = dict(backbone=dict(depth=110, partition=dict(num_blocks=55)))
