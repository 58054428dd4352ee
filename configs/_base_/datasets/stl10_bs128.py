# STL-10, the labelled images, as InfoPro's released code and its descendants read them: crop, flip.
_base_ = './svhn_bs1024.py'
train_pipeline = [
    dict(type='RandomCrop', crop_size=96, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
source = dict(name='STL10', data_root='data/stl10')
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline, **source))
val_dataloader = dict(batch_size=128, dataset=source)
test_dataloader = val_dataloader
