# MAN: the next unit as a momentum copy and as a trainable copy, then a local head.
# A leaf config places it: model.backbone.auxiliary = {{_base_.man}}
man = dict(
    type='mmlocal.Auxiliary',
    bridge=dict(type='mmlocal.MomentumBridge', momentum=0.995),
)
