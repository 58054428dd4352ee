# Photographs in DIV2K's layout and their bicubic reductions by 2, made by
# tools/dataset_converters/make_mini_dataset.py div2k
scale = 2
dataset_type = 'BasicImageDataset'
data_root = 'data/mini-div2k'
image = dict(type='LoadImageFromFile', color_type='color', channel_order='rgb', use_cache=True)
flip = dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5)
train_pipeline = [
    dict(image, key='img'),
    dict(image, key='gt'),
    dict(type='SetValues', dictionary=dict(scale=scale)),
    dict(type='PairedRandomCrop', gt_patch_size=48),
    dict(flip, direction='horizontal'),
    dict(flip, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    # Most of the few photographs are grey or nearly so.
    dict(type='ColorJitter', keys=['img', 'gt'], saturation=0.5, hue=0.5),
    dict(type='PackInputs'),
]
test_pipeline = [dict(image, key='img'), dict(image, key='gt'), dict(type='PackInputs')]
common = dict(
    type=dataset_type,
    metainfo=dict(dataset_type='div2k', task_name='sisr'),
    data_root=data_root,
    filename_tmpl=dict(img='{}x2', gt='{}'),
    search_key='gt',
)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        common,
        data_prefix=dict(img='DIV2K_train_LR_bicubic/X2', gt='DIV2K_train_HR'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        common,
        data_prefix=dict(img='DIV2K_valid_LR_bicubic/X2', gt='DIV2K_valid_HR'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='Evaluator', metrics=[dict(type='PSNR', crop_border=scale), dict(type='SSIM', crop_border=scale)]
)
test_evaluator = val_evaluator
