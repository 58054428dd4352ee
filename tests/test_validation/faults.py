"""Configs with one fault each, and the sentence that tells it: name, what is changed, what is said."""

import copy
from pathlib import Path

from mmlocal.config import localize

ROOT = Path(__file__).parents[2]
BACKBONE = 'model.backbone.'
PARTITION = 'model.backbone.partition'
AUXILIARY = 'model.backbone.auxiliary'
RETINA = dict(type='RetinaHead', num_classes=10, in_channels=64)


def without(*path):
    def change(cfg):
        inner = cfg
        for name in path[:-1]:
            inner = inner[name]
        del inner[path[-1]]

    return change


def replaced(**changes):
    """Whole values of the backbone, where `merge_from_dict` would mix old and new ones."""

    def change(cfg):
        for name, value in changes.items():
            cfg.model.backbone[name] = value

    return change


def two_auxiliaries(cfg):
    cfg.model.backbone.auxiliary = [cfg.model.backbone.auxiliary] * 2


def wrong_second_of_three(cfg):
    auxiliary = cfg.model.backbone.auxiliary
    cfg.model.backbone.auxiliary = [copy.deepcopy(auxiliary) for _ in range(3)]
    cfg.model.backbone.auxiliary[1].bridge.momentum = 3


def mobile_net(cfg):
    kept = {name: cfg.model.backbone[name] for name in ('type', 'auxiliary')}
    cfg.model.backbone = dict(kept, arch='MobileNetV2', partition=['layer1'])


def mistyped_in_derived_head(cfg):
    cfg.model.backbone = localize(cfg).model.backbone
    cfg.model.backbone.auxiliary.head.dense_head.stacked_conv = 2


def wrong_loss_in_derived_head(cfg):
    cfg.model.backbone = localize(cfg).model.backbone
    cfg.model.backbone.auxiliary.head.dense_head.loss_cls.type = 'FocalLos'


def dense_head(config):
    return {BACKBONE + 'auxiliary.head': dict(type='mmlocal.DenseDetHead', dense_head=config)}


LAST = 'the last block is trained by the model itself'
NOT_A_PARTITION = (
    "is neither a list of unit names such as ['layer1.1', 'layer2.1'] nor a dict such as dict(type='Stage')"
)

FAULTS = {
    # where it is cut
    'unknown unit': (
        {PARTITION: ['layer5.0']},
        f"{PARTITION}[0] = 'layer5.0' is not a unit of ResNet-18. Units: stem … layer4.1 (9). Did you mean 'layer4.0'?",
    ),
    'unit of a deeper network': (
        {PARTITION: ['layer1.1', 'layer3.5']},
        f"{PARTITION}[1] = 'layer3.5' is not a unit of ResNet-18. Units: stem … layer4.1 (9). Did you mean 'layer3.1'?",
    ),
    'last unit': (
        {PARTITION: ['layer4.1']},
        f"{PARTITION}[0] = 'layer4.1' is the last unit of ResNet-18: {LAST}",
    ),
    'out of order': (
        {PARTITION: ['layer3.0', 'layer2.0']},
        f"{PARTITION}[1] = 'layer2.0' does not come behind 'layer3.0': cuts are given in order, each once",
    ),
    'duplicate': (
        {PARTITION: ['layer2.0', 'layer2.0']},
        f"{PARTITION}[1] = 'layer2.0' does not come behind 'layer2.0': cuts are given in order, each once",
    ),
    'in a frozen stage': (
        {BACKBONE + 'frozen_stages': 2, PARTITION: ['layer1.0', 'layer3.0']},
        f"{PARTITION}[0] = 'layer1.0' lies in the frozen part (stem … layer2.1): its block could not learn",
    ),
    'all frozen': (
        {BACKBONE + 'frozen_stages': 4},
        f'{PARTITION} cannot divide ResNet-18: all of its 9 units are frozen',
    ),
    'unknown partition': (
        {PARTITION + '.type': 'Stages'},
        f"{PARTITION}.type = 'Stages' is no partition of mmlocal (Balanced, Budget, Each, Even, Published, Stage). "
        "Did you mean 'Stage'?",
    ),
    'partition without a type': (
        replaced(partition=dict(num_blocks=3)),
        f'{PARTITION}.type is missing: the name of a partition',
    ),
    'type of partition is no name': (
        {PARTITION + '.type': 4},
        f'{PARTITION}.type = 4 is not the name of a partition',
    ),
    'wrong partition argument': (
        replaced(partition=dict(type='Even', num_block=3)),
        f"{PARTITION}.num_block = 3 is not an argument of Even. Did you mean 'num_blocks'?",
    ),
    'argument of a partition that has none': (
        {PARTITION + '.depth': 3},
        f'{PARTITION}.depth = 3 is not an argument of Stage. Arguments: none',
    ),
    'missing partition argument': (
        {PARTITION + '.type': 'Even'},
        f'{PARTITION}.num_blocks is missing: Even needs it',
    ),
    'unsuitable partition argument': (
        replaced(partition=dict(type='Even', num_blocks='four')),
        f"{PARTITION}.num_blocks = 'four' is not a whole number",
    ),
    'more blocks than units': (
        replaced(partition=dict(type='Even', num_blocks=10)),
        f'{PARTITION}.num_blocks = 10 does not fit: stem … layer4.1 are 9 units that train, '
        'so 1 to 9 blocks are possible',
    ),
    'no block': (
        replaced(partition=dict(type='Even', num_blocks=0)),
        f'{PARTITION}.num_blocks = 0 does not fit: stem … layer4.1 are 9 units that train, '
        'so 1 to 9 blocks are possible',
    ),
    'partition is a name': ({PARTITION: 'Stage'}, f"{PARTITION} = 'Stage' {NOT_A_PARTITION}"),
    'partition is a number': ({PARTITION: 4}, f'{PARTITION} = 4 {NOT_A_PARTITION}'),
    'partition is numbers': ({PARTITION: [1, 2]}, f'{PARTITION} = [1, 2] {NOT_A_PARTITION}'),
    'partition is missing': (
        without('model', 'backbone', 'partition'),
        f'{PARTITION} = None {NOT_A_PARTITION}',
    ),
    'reach 0': (
        {BACKBONE + 'reach': 0},
        'model.backbone.reach = 0 is not within 1 and the number of blocks, 4',
    ),
    'reach above the blocks': (
        {BACKBONE + 'reach': 5},
        'model.backbone.reach = 5 is not within 1 and the number of blocks, 4',
    ),
    'reach is no number': (
        {BACKBONE + 'reach': 'two'},
        "model.backbone.reach = 'two' is not a whole number",
    ),
    'unknown module': (
        {BACKBONE + 'units': ['layer9']},
        "model.backbone.units[0] = 'layer9' is not a module of ResNet. Did you mean 'layer4'?",
    ),
    # the stock network
    'unknown depth': (
        {BACKBONE + 'depth': 49},
        'model.backbone.depth = 49 is not a depth of ResNet (18, 34, 50, 101, 152). Did you mean 50?',
    ),
    'unknown argument': (
        {BACKBONE + 'no_such_key': 1},
        'model.backbone.no_such_key = 1 is not an argument of LocalBackbone or ResNet. Arguments: arch, ...',
    ),
    'mistyped argument of the network': (
        {BACKBONE + 'frozen_stage': 1},
        "model.backbone.frozen_stage = 1 is not an argument of LocalBackbone or ResNet. Did you mean 'frozen_stages'?",
    ),
    'mistyped argument of the local backbone': (
        {BACKBONE + 'reachh': 2},
        "model.backbone.reachh = 2 is not an argument of LocalBackbone or ResNet. Did you mean 'reach'?",
    ),
    'refused by the network': (
        {BACKBONE + 'out_indices': (0, 9)},
        'model.backbone cannot be built: it takes that max(out_indices) < num_stages (resnet.py, line ...)',
    ),
    'unknown arch': (
        {BACKBONE + 'arch': 'ResNett'},
        "model.backbone.arch = 'ResNett' is no model of mmdet, which has .... Did you mean 'ResNet'?",
    ),
    'arch in lower case': (
        {BACKBONE + 'arch': 'resnet'},
        "model.backbone.arch = 'resnet' is no model of mmdet, which has .... Did you mean 'ResNet'?",
    ),
    'arch of an unknown package': (
        {BACKBONE + 'arch': 'mmdett.ResNet'},
        "model.backbone.arch = 'mmdett.ResNet' is no model: no package 'mmdett' is in use. Did you mean 'mmdet'?",
    ),
    'arch is no name': ({BACKBONE + 'arch': 50}, 'model.backbone.arch = 50 is not the name of a model'),
    'arch is missing': (
        without('model', 'backbone', 'arch'),
        'model.backbone.arch is missing: the name of a model',
    ),
    'cuts of another network': (
        mobile_net,
        "model.backbone.partition[0] = 'layer1' is not a unit of MobileNetV2. Units: stem … layer7.0 (18). It ends "
        "with 'layer1.0', behind which a cut is possible",
    ),
    # what trains the blocks
    'momentum above 1': (
        {AUXILIARY + '.bridge.momentum': 1.5},
        f'{AUXILIARY}.bridge.momentum = 1.5 is not within 0 and 1 (0.995 is published)',
    ),
    'momentum below 0': (
        {AUXILIARY + '.bridge.momentum': -0.1},
        f'{AUXILIARY}.bridge.momentum = -0.1 is not within 0 and 1 (0.995 is published)',
    ),
    'momentum is no number': (
        {AUXILIARY + '.bridge.momentum': 'high'},
        f"{AUXILIARY}.bridge.momentum = 'high' is not a number",
    ),
    'unknown bridge': (
        {AUXILIARY + '.bridge.type': 'mmlocal.MomentumBrige'},
        f"{AUXILIARY}.bridge.type = 'mmlocal.MomentumBrige' is no model of mmlocal, "
        "which has .... Did you mean 'mmlocal.MomentumBridge'?",
    ),
    'unknown argument of a bridge': (
        {AUXILIARY + '.bridge.momentun': 0.9},
        f"{AUXILIARY}.bridge.momentun = 0.9 is not an argument of MomentumBridge. Did you mean 'momentum'?",
    ),
    'unknown argument of a head': (
        {AUXILIARY + '.head': dict(num_level=2)},
        f"{AUXILIARY}.head.num_level = 2 is not an argument of DenseDetHead. Did you mean 'num_levels'?",
    ),
    'no level': (
        {AUXILIARY + '.head': dict(num_levels=0)},
        f'{AUXILIARY}.head.num_levels = 0 is below 1',
    ),
    'channels that do not fit': (
        {AUXILIARY + '.head': dict(in_channels=256)},
        f"{AUXILIARY}.head.in_channels = 256, but what reaches the head of block1 (behind 'layer1.1', "
        'momentum of layer2.0) has 64 channels',
        f"{AUXILIARY}.head.in_channels = 256, but what reaches the head of block2 (behind 'layer2.1', "
        'momentum of layer3.0) has 128 channels',
    ),
    'dense head without strides': (
        dense_head(dict(type='CenterNetHead', in_channels=8, feat_channels=8, num_classes=10)),
        f"{AUXILIARY}.head.dense_head of type 'CenterNetHead' has no strides, neither its own nor those of its "
        'anchor_generator: give one of them (any values; they are set to the strides of the block)',
    ),
    'unknown dense head': (
        dense_head(dict(RETINA, type='RetinaHed')),
        f"{AUXILIARY}.head.dense_head.type = 'RetinaHed' is no model of mmdet, which has .... "
        "Did you mean 'RetinaHead'?",
    ),
    'dense head without a type': (
        {AUXILIARY + '.head': dict(type='mmlocal.DenseDetHead', dense_head=dict(num_classes=10))},
        f'{AUXILIARY}.head.dense_head.type is missing: the name of a model',
    ),
    'argument that a class hands to its base': (
        mistyped_in_derived_head,
        f"{AUXILIARY}.head.dense_head.stacked_conv = 2 is not an argument of FCOSHead. Did you mean 'stacked_convs'?",
    ),
    'part of a dense head': (
        wrong_loss_in_derived_head,
        f"{AUXILIARY}.head.dense_head.loss_cls.type = 'FocalLos' is no model of mmdet, which has .... "
        "Did you mean 'FocalLoss'?",
    ),
    'too few auxiliaries': (
        two_auxiliaries,
        'model.backbone.auxiliary has 2 entries, but 3 blocks are trained by one',
    ),
    'one of several auxiliaries': (
        wrong_second_of_three,
        f'{AUXILIARY}[1].bridge.momentum = 3 is not within 0 and 1 (0.995 is published)',
    ),
    'auxiliary is missing': (
        without('model', 'backbone', 'auxiliary'),
        "model.backbone.auxiliary is missing: what trains the blocks, as dict(type='mmlocal.Auxiliary')",
    ),
    'auxiliary is a name': ({AUXILIARY: 'MAN'}, f"{AUXILIARY} = 'MAN' is not a component: dict(type=...)"),
    'auxiliary without a type': (
        without('model', 'backbone', 'auxiliary', 'type'),
        f'{AUXILIARY}.type is missing: the name of a model',
    ),
    'no head can be derived': (
        without('model', 'roi_head', 'bbox_head', 'num_classes'),
        f'{AUXILIARY}.head is missing, and none can be derived: none of bbox_head, roi_head, mask_head, panoptic_head, '
        'rpn_head has num_classes or num_things_classes. '
        "Give one: head=dict(type='mmlocal.DenseDetHead', dense_head=...)",
    ),
    'compiled as a whole': (
        {'compile': True},
        'compile would compile whole training steps, and the blocks learn within them: use model.backbone.compile',
    ),
    'unknown compiler': (
        {BACKBONE + 'compile': dict(backend='inductr')},
        "model.backbone.compile.backend = 'inductr' is not one of .... Did you mean 'inductor'?",
    ),
    # optimizer and loop
    'unknown step policy': (
        {'optim_wrapper.step_policy': 'per_blok'},
        "optim_wrapper.step_policy = 'per_blok' is not one of auto, joint, per_block",
    ),
    'accumulation per block': (
        {'optim_wrapper.step_policy': 'per_block', 'optim_wrapper.accumulative_counts': 4},
        "optim_wrapper.accumulative_counts = 4 does not go with step_policy 'per_block': a block's step "
        "would use other blocks' unfinished gradients. Use 'joint'",
    ),
    'reach per block': (
        {'optim_wrapper.step_policy': 'per_block', BACKBONE + 'reach': 2},
        "optim_wrapper.step_policy = 'per_block' needs reach = 1, not 2: later losses still use the block",
    ),
    'schedule that fails when it steps': (
        {'param_scheduler': [dict(type='StepLR', step_size=0)]},
        'param_scheduler[0] cannot be built: ZeroDivisionError: ...',
    ),
    'overlap per block': (
        {'optim_wrapper.step_policy': 'per_block', BACKBONE + 'overlap': 1},
        "optim_wrapper.step_policy = 'per_block' needs overlap = 0, not 1: later losses still use the block",
    ),
    'far too many threads': (
        {'env_cfg.mp_cfg.opencv_num_threads': 10**9},
        'env_cfg.mp_cfg.opencv_num_threads = 1000000000 is more than this system has for all its processes (...)',
    ),
    'memory that no model needs without its weights': (
        {'model.rpn_head': dict(type='mmlocal.FillsMemory')},
        'model cannot be built: without its weights it needs more than 2 GiB',
    ),
    'check that a value breaks': (
        {'default_hooks.logger._scope_': ''},
        "default_hooks.logger cannot be used: TypeError: the 'package' argument is required ...",
    ),
    'no accumulation': (
        {'optim_wrapper.accumulative_counts': 0},
        'optim_wrapper.accumulative_counts = 0 cannot be used: ...',
    ),
    'unknown argument of the wrapper': (
        {'optim_wrapper.step_polcy': 'joint'},
        "optim_wrapper.step_polcy = 'joint' is not an argument of BlockwiseOptimWrapper. Did you mean 'step_policy'?",
    ),
    'wrapper that has no block-wise form': (
        {'optim_wrapper.type': 'OptimWrapperDict'},
        "optim_wrapper.type = 'OptimWrapperDict' has no block-wise form; OptimWrapper, AmpOptimWrapper have one",
    ),
    'precision that mixes with nothing': (
        {'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.dytpe': 'bfloat16'},
        "optim_wrapper.dytpe = 'bfloat16' is not an argument of BlockwiseAmpOptimWrapper. Did you mean 'dtype'?",
    ),
    'unknown optimizer': (
        {'optim_wrapper.optimizer.type': 'AdamX'},
        "optim_wrapper.optimizer.type = 'AdamX' is no optimizer of mmengine... Did you mean 'Adamax'?",
    ),
    'unknown argument of the optimizer': (
        {'optim_wrapper.optimizer.weight_decy': 0.1},
        "optim_wrapper.optimizer.weight_decy = 0.1 is not an argument of AdamW. Did you mean 'weight_decay'?",
    ),
    'unknown argument of the loop': (
        {'train_cfg.max_epoch': 1},
        "train_cfg.max_epoch = 1 is not an argument of EpochBasedTrainLoop. Did you mean 'max_epochs'?",
    ),
}
