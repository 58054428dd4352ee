# What GSO-YOLO changes in a YOLOv8: two modules around SPPF, and the loss of boxes (weighted as YOLOv8's own).
gso_yolo = dict(
    backbone=dict(type='mmlocal.GSOYOLOCSPDarknet'),
    bbox_head=dict(loss_bbox=dict(_delete_=True, type='mmlocal.AIoULoss', reduction='sum', loss_weight=7.5)),
)
