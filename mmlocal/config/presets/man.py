# MAN: the next unit as a momentum copy and as a trainable copy, then a local head.
man = dict(
    auxiliary=dict(
        type='mmlocal.Auxiliary',
        bridge=dict(type='mmlocal.MomentumBridge', momentum=0.995),
    )
)
