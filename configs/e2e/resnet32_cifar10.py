_base_ = [
    '../_base_/models/resnet32_cifar.py',
    '../_base_/datasets/cifar10_bs1024.py',
    '../_base_/schedules/cifar_400e.py',
    'mmpretrain::_base_/default_runtime.py',
]
