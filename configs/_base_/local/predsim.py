# PredSim: a linear classifier, and the similarities of images matched with those of their labels.
predsim = dict(
    auxiliary=dict(
        type='mmlocal.Auxiliary',
        loss_weight=0.01,
        terms=dict(similarity=dict(type='mmlocal.Similarity', loss_weight=0.99)),
    )
)
