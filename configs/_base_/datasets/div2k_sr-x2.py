# DIV2K as it is unpacked: whole images, 1 to 800 for training, 801 to 900 for validation.
scale = 2
image = dict(type='LoadImageFromFile', color_type='color', channel_order='rgb', imdecode_backend='cv2')
flip = dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5)
train_pipeline = [
    dict(image, key='img'),
    dict(image, key='gt'),
    dict(type='SetValues', dictionary=dict(scale=scale)),
    dict(type='PairedRandomCrop', gt_patch_size=96),
    dict(flip, direction='horizontal'),
    dict(flip, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
test_pipeline = [dict(image, key='img'), dict(image, key='gt'), dict(type='PackInputs')]
common = dict(
    type='BasicImageDataset',
    metainfo=dict(dataset_type='div2k', task_name='sisr'),
    data_root='data/DIV2K',
    filename_tmpl=dict(img='{}x2', gt='{}'),
    search_key='gt',
)
train_dataloader = dict(
    num_workers=8,
    batch_size=16,
    drop_last=True,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        common,
        data_prefix=dict(img='DIV2K_train_LR_bicubic/X2', gt='DIV2K_train_HR'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=4,
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
metrics = [dict(type='PSNR', crop_border=scale), dict(type='SSIM', crop_border=scale)]
val_evaluator = dict(type='Evaluator', metrics=metrics)
test_evaluator = val_evaluator
