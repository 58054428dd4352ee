"""Faults of what is not of local learning: the host's model, data, optimizer, schedules, hooks, the process.

Each is a place, a value that stands there, and what is said about it behind the place. `^` before it: behind the
place of what holds it.
"""

SECTION_FAULTS = {
    # the host's model
    'model.type': ('FasterRCN', "is no model of mmdet, which has .... Did you mean 'FasterRCNN'?"),
    'model.neck.type': ('FPNN', "is no model of mmdet, which has .... Did you mean 'FPN'?"),
    'model.neck.out_channel': (256, "is not an argument of FPN. Did you mean 'out_channels'?"),
    'model.neck.num_outs': ('five', 'is not a whole number'),
    'model.roi_head.bbox_head.num_class': (3, "is not an argument of Shared2FCBBoxHead. Did you mean 'num_classes'?"),
    'model.roi_head.bbox_head.num_classes': ('three', 'is not a whole number'),
    'model.roi_head.bbox_head.loss_cls.use_sigmod': (
        True,
        "is not an argument of CrossEntropyLoss. Did you mean 'use_sigmoid'?",
    ),
    'model.roi_head.bbox_roi_extractor.roi_layer.type': (
        'RoIAlignn',
        "is no operation of mmcv. Did you mean 'RoIAlign'?",
    ),
    'model.rpn_head.anchor_generator.type': (
        'AnchorGenerater',
        "is no task util of mmdet, which has .... Did you mean 'AnchorGenerator'?",
    ),
    'model.rpn_head.anchor_generator.scale': ([8], "is not an argument of AnchorGenerator. Did you mean 'scales'?"),
    'model.train_cfg.rpn.assigner.pos_iou_th': (
        0.5,
        "is not an argument of MaxIoUAssigner. Did you mean 'pos_iou_thr'?",
    ),
    'model.test_cfg.rcnn.nms.type': ('nmss', "is no operation of mmcv. Did you mean 'nms'?"),
    'model.data_preprocessor.pad_size_div': (
        32,
        "is not an argument of DetDataPreprocessor. Did you mean 'pad_size_divisor'?",
    ),
    'model.backbone.norm_cfg.type': ('BNN', "is no model of mmdet, which has .... Did you mean 'BN'?"),
    'model.backbone.init_cfg': (
        dict(type='Pretrain', checkpoint='a.pth'),
        "^init_cfg.type = 'Pretrain' is no weight initializer of mmengine (...). Did you mean 'Pretrained'?",
    ),
    'model.nek': (dict(type='FPN'), "is not an argument of FasterRCNN. Did you mean 'neck'?"),
    'model': ('FasterRCNN', 'is not a dict'),
    # data
    'train_dataloader': (3, 'is not a dict or a list'),
    'train_dataloader.batch_sise': (4, "is not an argument of a data loader. Did you mean 'batch_size'?"),
    'train_dataloader.batch_size': (0, 'is below 1'),
    'val_dataloader.batch_size': ('four', 'is not a whole number'),
    'train_dataloader.num_workers': (-1, 'is below 0'),
    'train_dataloader.sampler.type': (
        'DefaultSampeler',
        "is no data sampler of mmdet (...). Did you mean 'DefaultSampler'?",
    ),
    'train_dataloader.sampler.shufle': (True, "is not an argument of DefaultSampler. Did you mean 'shuffle'?"),
    'train_dataloader.collate_fn': (
        dict(type='pseudo_colate'),
        "^collate_fn.type = 'pseudo_colate' is no function of mmengine (default_collate, pseudo_collate...). "
        "Did you mean 'pseudo_collate'?",
    ),
    'train_dataloader.dataset.type': (
        'CocoDatset',
        "is no dataset of mmdet, which has .... Did you mean 'CocoDataset'?",
    ),
    'train_dataloader.dataset.ann_fil': ('a.json', "is not an argument of CocoDataset. Did you mean 'ann_file'?"),
    'train_dataloader.dataset.pipeline.0.type': (
        'LoadImageFromFil',
        "is no transform of mmdet, which has .... Did you mean 'LoadImageFromFile'?",
    ),
    'train_dataloader.dataset.pipeline.1.with_box': (
        True,
        "is not an argument of LoadAnnotations. Did you mean 'with_bbox'?",
    ),
    'train_dataloader.dataset.pipeline.2': (
        dict(type='RandomFlip', prob=3),
        '^pipeline[2] cannot be built: ValueError: probs must be float or list of float, but got ...',
    ),
    'val_evaluator.type': ('CocoMetrics', "is no metric of mmdet, which has .... Did you mean 'CocoMetric'?"),
    'val_evaluator.metric': (
        'bboxes',
        "^ cannot be built: KeyError: metric should be one of 'bbox', 'segm', ..., but got bboxes.",
    ),
    'val_evaluator.metrics': ('bbox', "is not an argument of CocoMetric. Did you mean 'metric'?"),
    # loops
    'train_cfg': (3, 'is not a dict'),
    'train_cfg.type': ('EpochBasedTrainLop', "is no loop of mmdet (...). Did you mean 'EpochBasedTrainLoop'?"),
    'train_cfg.max_epochs': ('ten', 'is not a whole number'),
    'train_cfg.val_interval': (0, 'is below 1'),
    'val_cfg.fp17': (True, "is not an argument of ValLoop. Did you mean 'fp16'?"),
    # optimizer and schedules
    'optim_wrapper.optimizer.lr': (-0.1, '^ cannot be built: ValueError: Invalid learning rate: -0.1'),
    'optim_wrapper.clip_grad': (
        dict(max_nrom=1),
        "^clip_grad.max_nrom = 1 is not an argument of clip_grad_norm_. Did you mean 'max_norm'?",
    ),
    'optim_wrapper.paramwise_cfg': (
        dict(norm_decay_mul=0),
        "^paramwise_cfg.norm_decay_mul = 0 is read by nobody. Did you mean 'norm_decay_mult'?",
    ),
    'optim_wrapper.constructor': (
        'DefaultOptimWrapperConstructr',
        "is no optimizer constructor of mmdet (...). Did you mean 'DefaultOptimWrapperConstructor'?",
    ),
    'param_scheduler.0.type': ('LinearLRR', "is no parameter scheduler of mmdet (...). Did you mean 'LinearLR'?"),
    'param_scheduler.0.start_facter': (0.1, "is not an argument of LinearLR. Did you mean 'start_factor'?"),
    'param_scheduler.0.start_factor': (
        7.0,
        '^ cannot be built: ValueError: Starting multiplicative factor should between 0 and 1.',
    ),
    # hooks
    'default_hooks.checkpont': (dict(interval=1), "is no default hook. Did you mean 'checkpoint'?"),
    'default_hooks.checkpoint.intervall': (1, "is not an argument of CheckpointHook. Did you mean 'interval'?"),
    'default_hooks.logger.interval': (0, '^ cannot be built: ValueError: interval must be greater than 0'),
    'custom_hooks': ('EMAHook', 'is not a list'),
    'custom_hooks.0': (dict(type='EMAHok'), "^[0].type = 'EMAHok' is no hook of mmdet... Did you mean 'EMAHook'?"),
    'custom_hooks.1': (
        dict(type='EMAHook', momentun=0.1),
        "^[1].momentun = 0.1 is not an argument of EMAHook. Did you mean 'momentum'?",
    ),
    'custom_hooks.2': (dict(type='EMAHook', momentum=2), '^[2] cannot be built: AssertionError: ...'),
    'custom_hooks.3': (dict(momentum=2), '^[3].type is missing: the name of a hook'),
    'custom_hooks.4': ('EMAHook', "^[4] = 'EMAHook' is not a component: dict(type=...)"),
    # the process, logs, pictures
    'default_scope': ('mmdt', "is not a package that is installed. Did you mean 'mmdet'?"),
    'env_cfg.cudnn_benchmrk': (True, "is not read by env_cfg. Did you mean 'cudnn_benchmark'?"),
    'env_cfg.mp_cfg.mp_start_methd': ('fork', "is not read by mp_cfg. Did you mean 'mp_start_method'?"),
    'env_cfg.dist_cfg.backen': ('nccl', "is not an argument of init_dist. Did you mean 'backend'?"),
    'randomness.sed': (0, "is not an argument of set_random_seed. Did you mean 'seed'?"),
    'randomness.seed': ('zero', 'is not a whole number'),
    'log_level': (
        'INFOO',
        "is not one of NOTSET, DEBUG, INFO, WARNING, ERROR, CRITICAL. Did you mean 'INFO'?",
    ),
    'log_processor.window_sise': (10, "is not an argument of LogProcessor. Did you mean 'window_size'?"),
    'log_processor.by_epoch': ('yes', 'is not True or False'),
    'visualizer.type': (
        'DetLocalVisualiser',
        "is no visualizer of mmdet (...). Did you mean 'DetLocalVisualizer'?",
    ),
    'visualizer.vis_backends.0.type': (
        'LocalVisBackendd',
        "is no vis backend of mmengine (...). Did you mean 'LocalVisBackend'?",
    ),
    'model_wrapper_cfg': (
        dict(type='MMDistributedDataParallel', find_unused_parameter=True),
        '^model_wrapper_cfg.find_unused_parameter = True is not an argument of MMDistributedDataParallel. '
        "Did you mean 'find_unused_parameters'?",
    ),
    'auto_scale_lr': (
        dict(base_batch_sise=16),
        "^auto_scale_lr.base_batch_sise = 16 is not read by auto_scale_lr. Did you mean 'base_batch_size'?",
    ),
    'optim_wraper': (dict(optimizer=dict(lr=0.1)), "is read by nobody. Did you mean 'optim_wrapper'?"),
    'load_from': (3, 'is not a text'),
    'resume': ('yes', 'is not True or False'),
}
