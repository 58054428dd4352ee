# The recipe of MAN, MAN++, AugLocal, HPFF and MLAAN (released code): SGD with Nesterov momentum, 400 epochs,
# a cosine with a blended warm-up.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=400, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.8, momentum=0.9, weight_decay=1e-4, nesterov=True)
)
param_scheduler = dict(type='mmlocal.BlendedCosineLR', T_max=400)
