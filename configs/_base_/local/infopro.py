# InfoPro: the task's loss, and reconstruction of the input. Weights of ResNet-110, K = 16.
infopro = dict(
    auxiliary=dict(
        type='mmlocal.Auxiliary',
        head=dict(for_cls=dict(layers='1c2f')),
        loss_weight=(0.5, 1.0),
        terms=dict(reconstruction=dict(type='mmlocal.Reconstruction', loss_weight=(5.0, 0.0))),
    )
)
