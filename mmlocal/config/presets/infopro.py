# InfoPro: the task's loss, and reconstruction of the input, with the weights of ResNet-32, K = 16, for CIFAR-10.
infopro = dict(
    auxiliary=dict(
        type='mmlocal.Auxiliary',
        head=dict(for_cls=dict(layers='1c2f')),
        loss_weight=(0.05, 0.5),
        terms=dict(reconstruction=dict(type='mmlocal.Reconstruction', loss_weight=(5.0, 0.2))),
    )
)
