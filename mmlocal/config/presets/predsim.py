# PredSim: a linear classifier, and the similarities of images matched with those of their labels.
predsim = dict(
    auxiliary=dict(
        type='mmlocal.Auxiliary',
        loss_weight=0.01,
        # The classifier starts at zero.
        head=dict(for_cls=dict(cls_head=dict(init_cfg=dict(type='Constant', layer='Linear', val=0.0)))),
        terms=dict(similarity=dict(type='mmlocal.Similarity', loss_weight=0.99)),
    )
)
