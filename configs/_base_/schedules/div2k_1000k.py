# As mmagic trains SRResNet: a million iterations of Adam, a cosine restarted four times.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000000, val_interval=5000)
val_cfg = dict(type='MultiValLoop')
test_cfg = dict(type='MultiTestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-4, betas=(0.9, 0.999)))
param_scheduler = dict(
    type='CosineRestartLR', by_epoch=False, periods=[250000] * 4, restart_weights=[1] * 4, eta_min=1e-7
)
