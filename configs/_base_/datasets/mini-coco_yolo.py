# The mini set in COCO layout, as mmyolo reads it.
_base_ = './mini-coco_detection.py'
fitted = [
    dict(type='LetterResize', scale=(128, 128), allow_scale_up=True, pad_val=dict(img=114)),
    dict(type='LoadAnnotations', with_bbox=True),
]
train_dataloader = dict(
    batch_sampler=None,
    drop_last=True,
    collate_fn=dict(type='yolov5_collate'),
    dataset=dict(
        type='YOLOv5CocoDataset',
        pipeline=[
            dict(type='LoadImageFromFile'),
            fitted[1],
            fitted[0],
            dict(
                type='mmdet.PackDetInputs',
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'flip', 'flip_direction'),
            ),
        ],
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='YOLOv5CocoDataset',
        pipeline=[
            dict(type='LoadImageFromFile'),
            *fitted,
            dict(
                type='mmdet.PackDetInputs',
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'pad_param'),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmdet.CocoMetric')
test_evaluator = val_evaluator
