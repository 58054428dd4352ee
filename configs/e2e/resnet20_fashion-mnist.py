# What `make bench-accuracy` trains: every method is this config with `--local METHOD` and cuts.
_base_ = [
    '../_base_/models/resnet20_small.py',
    '../_base_/datasets/fashion-mnist_bs128.py',
    '../_base_/schedules/small_12e.py',
    'mmpretrain::_base_/default_runtime.py',
]
custom_imports = dict(imports=['mmlocal.models.cifar_resnet', 'mmlocal.datasets.fashion_mnist'])
# The best epoch on the validation split is kept, to be tested once; the newest, to go on from.
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1, save_best='accuracy/top1', rule='greater'))
custom_hooks = [dict(type='mmlocal.PeakMemoryHook')]
randomness = dict(seed=0)
