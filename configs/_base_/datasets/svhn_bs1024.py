# SVHN as InfoPro's released code and its descendants read it: crop, no flip.
_base_ = './cifar10_bs1024.py'
data_preprocessor = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5])
train_pipeline = [dict(type='RandomCrop', crop_size=32, padding=2), dict(type='PackInputs')]
source = dict(type='mmlocal.TorchvisionDataset', name='SVHN', data_root='data/svhn')
train_dataloader = dict(dataset=dict(_delete_=True, split='train', pipeline=train_pipeline, **source))
val_dataloader = dict(dataset=dict(_delete_=True, split='test', pipeline=[dict(type='PackInputs')], **source))
test_dataloader = val_dataloader
