# DIV2K, reduced by 3.
_base_ = './div2k_sr-x2.py'
train_pipeline = _base_.train_pipeline
train_pipeline[2] = dict(type='SetValues', dictionary=dict(scale=3))
train_pipeline[3] = dict(type='PairedRandomCrop', gt_patch_size=144)
filename_tmpl = dict(img='{}x3')
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img='DIV2K_train_LR_bicubic/X3'), filename_tmpl=filename_tmpl, pipeline=train_pipeline
    )
)
val_dataloader = dict(dataset=dict(data_prefix=dict(img='DIV2K_valid_LR_bicubic/X3'), filename_tmpl=filename_tmpl))
test_dataloader = val_dataloader
metrics = [dict(type='PSNR', crop_border=3), dict(type='SSIM', crop_border=3)]
val_evaluator = dict(metrics=metrics)
test_evaluator = val_evaluator
