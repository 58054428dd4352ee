# Fashion-MNIST: 55,000 images train, 5,000 of the training files validate, the test files are for one test at the end.
# Without data_root they are looked for where Debian's package and torchvision put them (docs/datasets.md).
# A border of 2 makes 32x32 of 28x28: every stage then has an even size, as HPFF's patches need.
data_preprocessor = dict(num_classes=10, mean=[72.94] * 3, std=[90.02] * 3, to_rgb=False)
train_pipeline = [
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
# There is one place for a crop of 32 in 28 + 2 + 2: nothing is drawn.
test_pipeline = [dict(type='RandomCrop', crop_size=32, padding=2), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmlocal.FashionMNIST', split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmlocal.FashionMNIST', split='val', pipeline=test_pipeline),
)
test_dataloader = dict(
    batch_size=500,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmlocal.FashionMNIST', split='test', pipeline=test_pipeline),
)
val_evaluator = dict(type='Accuracy', topk=1)
test_evaluator = val_evaluator
