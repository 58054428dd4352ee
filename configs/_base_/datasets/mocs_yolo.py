# MOCS (doi 10.1016/j.autcon.2020.103482) in COCO layout, over a YOLOv8 of COCO.
# Names and order as public configs have them; another spelling or order in your files is refused before training,
# with what they have.
root = 'data/mocs/'
val_file = 'annotations/instances_val.json'
metainfo = dict(
    classes=(
        'Worker',
        'Static crane',
        'Hanging head',
        'Crane',
        'Roller',
        'Bulldozer',
        'Excavator',
        'Truck',
        'Loader',
        'Pump truck',
        'Concrete mixer',
        'Pile driving',
        'Other vehicle',
    )
)
val_dataset = dict(data_root=root, metainfo=metainfo, ann_file=val_file, data_prefix=dict(img='val/'))
mocs = dict(
    model=dict(
        bbox_head=dict(head_module=dict(num_classes=13)),
        train_cfg=dict(assigner=dict(num_classes=13)),
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
