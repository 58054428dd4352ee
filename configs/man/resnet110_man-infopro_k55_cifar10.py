# As ResNet-32's, 110 layers deep.
_base_ = './resnet32_man-infopro_k16_cifar10.py'
model = dict(backbone=dict(depth=110, partition=dict(num_blocks=55)))
