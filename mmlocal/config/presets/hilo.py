# HPFF without patches (HiLo): windows of two blocks, and each block by itself.
hilo = dict(
    reach=2,
    full_windows=True,
    auxiliary=dict(
        type='mmlocal.Streams',
        independent_weight=0.001,
        independent=dict(type='mmlocal.Auxiliary', head=dict(for_cls=dict(layers='2c2f'))),
        cascade=dict(type='mmlocal.Auxiliary', head=dict(for_cls=dict(layers='2c2f'))),
    ),
)
