# SODA (arXiv 2202.09554) in COCO layout, over a YOLOv8 of COCO.
# It is published in VOC layout: convert it. Names and order as public scripts have them; another spelling or order
# in your files is refused before training, with what they have.
root = 'data/soda/'
val_file = 'annotations/instances_val.json'
metainfo = dict(
    classes=(
        'person',
        'vest',
        'helmet',
        'board',
        'wood',
        'rebar',
        'brick',
        'scaffold',
        'handcart',
        'cutter',
        'electric box',
        'hopper',
        'hook',
        'fence',
        'slogan',
    )
)
val_dataset = dict(data_root=root, metainfo=metainfo, ann_file=val_file, data_prefix=dict(img='val/'))
soda = dict(
    model=dict(
        bbox_head=dict(head_module=dict(num_classes=15)),
        train_cfg=dict(assigner=dict(num_classes=15)),
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
