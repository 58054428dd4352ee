# YOLOv8-N for images of 128x128 on a CPU.
norm_cfg = dict(type='BN', momentum=0.03, eps=0.001)
act_cfg = dict(type='SiLU', inplace=True)
size = dict(deepen_factor=0.33, widen_factor=0.25, norm_cfg=norm_cfg, act_cfg=act_cfg)
channels = [256, 512, 1024]
strides = [8, 16, 32]
model = dict(
    type='YOLODetector',
    data_preprocessor=dict(type='YOLOv5DetDataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=True),
    backbone=dict(type='YOLOv8CSPDarknet', arch='P5', last_stage_out_channels=1024, **size),
    neck=dict(type='YOLOv8PAFPN', in_channels=channels, out_channels=channels, num_csp_blocks=3, **size),
    bbox_head=dict(
        type='YOLOv8Head',
        head_module=dict(
            type='YOLOv8HeadModule',
            num_classes=10,
            in_channels=channels,
            widen_factor=0.25,
            reg_max=16,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            featmap_strides=strides,
        ),
        prior_generator=dict(type='mmdet.MlvlPointGenerator', offset=0.5, strides=strides),
        bbox_coder=dict(type='DistancePointBBoxCoder'),
        loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, reduction='none', loss_weight=0.5),
        loss_bbox=dict(
            type='IoULoss',
            iou_mode='ciou',
            bbox_format='xyxy',
            reduction='sum',
            loss_weight=7.5,
            return_iou=False,
        ),
        loss_dfl=dict(type='mmdet.DistributionFocalLoss', reduction='mean', loss_weight=1.5 / 4),
    ),
    train_cfg=dict(
        assigner=dict(
            type='BatchTaskAlignedAssigner', num_classes=10, use_ciou=True, topk=10, alpha=0.5, beta=6.0, eps=1e-9
        )
    ),
    test_cfg=dict(
        multi_label=True, nms_pre=1000, score_thr=0.001, nms=dict(type='nms', iou_threshold=0.7), max_per_img=100
    ),
)
