_base_ = ['./gso-yolo_n_mini-coco.py', '../_base_/local/man.py']
model = dict(
    backbone=dict(
        type='mmlocal.LocalBackbone',
        # The network has an `arch` of its own, which this replaces.
        arch=dict(_delete_=True, type='mmlocal.GSOYOLOCSPDarknet', arch='P5'),
        partition=dict(type='Stage'),
        **_base_.man,
    )
)
