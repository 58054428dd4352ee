# HPFF: windows of two blocks, each block by itself, and patch feature fusion.
hpff = dict(
    reach=2,
    full_windows=True,
    auxiliary=dict(
        type='mmlocal.Streams',
        independent_weight=0.001,
        independent=dict(type='mmlocal.Auxiliary', head=dict(for_cls=dict(layers='2c2f'))),
        cascade=dict(type='mmlocal.PatchAuxiliary', patches=2, head=dict(for_cls=dict(layers='2c2f'))),
    ),
)
