# AugLocal: new units of the shapes of some that follow, fewer for later blocks.
auglocal = dict(
    auxiliary=dict(
        type='mmlocal.Auxiliary',
        bridge=dict(type='mmlocal.CopyBridge', units=dict(type='Sampled', depth=3)),
    )
)
