# MAN++: MAN with a learnable scalar between the two copies.
man_plus_plus = dict(
    auxiliary=dict(
        type='mmlocal.Auxiliary',
        bridge=dict(type='mmlocal.MomentumBridge', momentum=0.995, scaling=True),
    )
)
