# A copy of this folder elsewhere names the base by its full path.
_base_ = '../../configs/e2e/resnet32_mini-digits.py'
# A list replaces that of the base: what the base imports is repeated.
custom_imports = dict(imports=[*_base_.custom_imports.imports, 'conv_bridge'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.CifarResNet',
        partition=dict(type='Even', num_blocks=4),
        auxiliary=dict(type='mmlocal.Auxiliary', bridge=dict(type='mmlocal.ConvBridge', channels=32)),
    )
)
