# The 2024 form (arXiv 2410.01239); which units it replaces is not public: one of four is an interpretation.
_base_ = '../e2e/resnet110_svhn.py'
model = dict(backbone=dict(type='mmlocal.ReplacementBackbone', arch='mmlocal.CifarResNet', every=4))
