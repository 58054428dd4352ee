# GSO-YOLO trained locally, a block a stage; GOM, SPPF and SCM are in the last one (an interpretation).
_base_ = ['./gso-yolo_s_coco.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        # The network has an `arch` of its own, which this replaces.
        arch=dict(_delete_=True, type='mmlocal.GSOYOLOCSPDarknet', arch='P5'),
        partition=dict(type='Stage'),
        **_base_.man,
    )
)
