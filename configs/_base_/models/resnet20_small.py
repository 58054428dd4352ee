# ResNet-20 (arXiv 1512.03385, section 4.2) for images of 32x32; a stride of 2 in the stem makes a step four times
# cheaper, which leaves a CPU the time for many runs.
custom_imports = dict(imports=['mmlocal.models.cifar_resnet'], allow_failed_imports=False)
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmlocal.CifarResNet', depth=20, stem_stride=2),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=64, loss=dict(type='CrossEntropyLoss')),
)
