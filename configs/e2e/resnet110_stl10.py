_base_ = [
    '../_base_/models/resnet110_cifar.py',
    '../_base_/datasets/stl10_bs128.py',
    '../_base_/schedules/cifar_400e.py',
    'mmpretrain::_base_/default_runtime.py',
]
optim_wrapper = dict(optimizer=dict(lr=0.1))  # for batches of 128
custom_imports = dict(imports=['mmlocal.models.cifar_resnet', 'mmlocal.datasets.torchvision_sets'])
