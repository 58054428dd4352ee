# Photographs in DIV2K's layout and their bicubic reductions by 2, made by
# tools/dataset_converters/make_mini_dataset.py div2k
_base_ = './div2k_sr-x2.py'
data_root = 'data/mini-div2k'
image = dict(type='LoadImageFromFile', color_type='color', channel_order='rgb', use_cache=True)
train_pipeline = _base_.train_pipeline
train_pipeline[:2] = [dict(image, key='img'), dict(image, key='gt')]
train_pipeline[3] = dict(type='PairedRandomCrop', gt_patch_size=48)
# Most of the few photographs are grey or nearly so.
train_pipeline.insert(-1, dict(type='ColorJitter', keys=['img', 'gt'], saturation=0.5, hue=0.5))
test_pipeline = [*train_pipeline[:2], dict(type='PackInputs')]
train_dataloader = dict(batch_size=8, num_workers=0, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, num_workers=0, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
