# ResNet-32 for images of 32x32 (arXiv 1512.03385, section 4.2).
custom_imports = dict(imports=['mmlocal.models.cifar_resnet'], allow_failed_imports=False)
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmlocal.CifarResNet', depth=32),
    neck=dict(type='GlobalAveragePooling'),
    # Torch's own start of the last layer, as released; mmpretrain's is N(0, 0.01), 5 to 7 times narrower.
    head=dict(type='LinearClsHead', num_classes=10, in_channels=64, init_cfg=None, loss=dict(type='CrossEntropyLoss')),
)
