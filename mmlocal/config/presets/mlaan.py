# MLAAN: windows of three blocks, each block by itself, and a chain of later units, the first with momentum.
mlaan = dict(
    reach=3,
    full_windows=True,
    auxiliary=dict(
        type='mmlocal.Streams',
        independent_weight=0.001,
        independent=dict(type='mmlocal.Auxiliary'),
        cascade=dict(
            type='mmlocal.Auxiliary',
            bridge=dict(type='mmlocal.MomentumBridge', momentum=0.995, units=dict(type='Leap')),
        ),
    ),
)
