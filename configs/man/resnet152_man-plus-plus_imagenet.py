_base_ = './resnet101_man-plus-plus_imagenet.py'
model = dict(backbone=dict(depth=152, partition=['layer2.6', 'layer3.13', 'layer3.25']))
