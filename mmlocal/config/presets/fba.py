# FBA: one unit for every remaining stage, and the feature bank in the form of the host's task.
fba = dict(
    auxiliary=dict(
        type='mmlocal.Auxiliary',
        bridge=dict(type='mmlocal.CopyBridge', units=dict(type='PerStage')),
        merge=dict(),
    )
)
