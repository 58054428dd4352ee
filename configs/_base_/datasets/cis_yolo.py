# CIS (construction instance segmentation; its boxes alone) in COCO layout, over a YOLOv8 of COCO.
# Names and order as public configs have them; another spelling or order in your files is refused before training,
# with what they have.
root = 'data/cis/'
val_file = 'annotations/instances_val.json'
metainfo = dict(
    classes=(
        'PC',
        'PC-truck',
        'dozer',
        'dump-truck',
        'excavator',
        'mixer',
        'people-helmet',
        'people-no-helmet',
        'roller',
        'wheel-loader',
    )
)
val_dataset = dict(data_root=root, metainfo=metainfo, ann_file=val_file, data_prefix=dict(img='val/'))
cis = dict(
    model=dict(
        bbox_head=dict(head_module=dict(num_classes=10)),
        train_cfg=dict(assigner=dict(num_classes=10)),
    ),
    train_dataloader=dict(
        dataset=dict(
            data_root=root,
            metainfo=metainfo,
            ann_file='annotations/instances_train.json',
            data_prefix=dict(img='train/'),
        )
    ),
    val_dataloader=dict(dataset=val_dataset),
    val_evaluator=dict(ann_file=root + val_file),
)
