_base_ = [
    '../_base_/models/resnet110_cifar.py',
    '../_base_/datasets/svhn_bs1024.py',
    '../_base_/schedules/cifar_400e.py',
    'mmpretrain::_base_/default_runtime.py',
]
custom_imports = dict(imports=['mmlocal.models.cifar_resnet', 'mmlocal.datasets.torchvision_sets'])
