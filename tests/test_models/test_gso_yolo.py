"""YOLOv8 with GSO-YOLO's modules: where they are, who reads them, trained whole and block by block."""

import copy
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import Runner

from mini import SceneSpec, export_coco, make_scenes
from mmlocal.blocks import LocalBackbone
from mmlocal.config import localize
from mmlocal.errors import ConfigError
from mmlocal.hosts import import_host
from mmlocal.hosts.accounts import reading
from mmlocal.models.gso_yolo import GlobalOptimizationModule, SteadyCaptureModule, gso_yolo_csp_darknet
from mmlocal.planning import checkpointed
from mmlocal.registry import MODELS
from mmlocal.validation import validate
from mmlocal.validation.data.categories import check_categories

THIN = dict(deepen_factor=0.33, widen_factor=0.125)
LAYERS = {'gom': GlobalOptimizationModule, 'scm': SteadyCaptureModule}
BATCHES, EPOCHS = 2, 2


@pytest.fixture
def backbone():
    def build(**arguments):
        torch.manual_seed(0)
        built = MODELS.build(dict(type='mmlocal.GSOYOLOCSPDarknet', **THIN, **arguments))
        built.eval()  # mmyolo's returns nothing
        return built

    return build


@pytest.fixture
def detector(config, build_lively):
    def build(name, **options):
        cfg = config(f'gso_yolo/{name}')
        cfg.merge_from_dict(options)
        return build_lively(cfg)

    return build


@pytest.mark.parametrize(
    ('arguments', 'names'),
    [
        (dict(), ['0', '1', 'gom', '2', 'scm']),
        (dict(scm=None), ['0', '1', 'gom', '2']),
        (dict(gom=None), ['0', '1', '2', 'scm']),
        (dict(gom=None, scm=None), ['0', '1', '2']),
    ],
)
def test_the_last_stage_is_conv_c2f_gom_sppf_scm(backbone, arguments, names):
    stage = backbone(**arguments).stage4
    assert [name for name, _ in stage.named_children()] == names
    assert type(stage.get_submodule('2')).__name__ == 'SPPFBottleneck'
    assert all(isinstance(stage.get_submodule(name), LAYERS[name]) for name in names if name in LAYERS)


def test_the_neck_reads_what_the_last_module_puts_out(detector):
    """Not SPPF's input, which is where the layer before the inserted one has its old index."""
    _, model, _, _ = detector('gso-yolo_n_mini-coco.py')
    stage, seen = model.eval().backbone.stage4, {}
    handles = [
        module.register_forward_hook(lambda _, args, output, name=name: seen.__setitem__(name, (args[0], output)))
        for name, module in stage.named_children()
    ]
    handles.append(model.neck.register_forward_pre_hook(lambda _, args: seen.__setitem__('neck', args[0])))
    model(torch.rand(1, 3, 64, 64), mode='tensor')
    for handle in handles:
        handle.remove()
    assert seen['gom'][0] is seen['1'][1]
    assert seen['2'][0] is seen['gom'][1]
    assert seen['scm'][0] is seen['2'][1]
    assert seen['neck'][-1] is seen['scm'][1]
    assert not any(level is output for level in seen['neck'] for output in (seen['gom'][1], seen['2'][1]))


@pytest.mark.parametrize('blocked', ['gom', '2', 'scm'])
def test_the_whole_head_hears_every_layer_of_the_stage(detector, blocked):
    _, model, _, _ = detector('gso-yolo_n_mini-coco.py')
    image = torch.rand(1, 3, 64, 64)
    outputs = [out for level in model.eval()(image, mode='tensor') for out in level]
    with torch.no_grad():
        module = model.backbone.stage4.get_submodule(blocked)
        module.register_forward_hook(lambda *args: args[-1] + 1)
        changed = [out for level in model(image, mode='tensor') for out in level]
    assert not any(torch.equal(one, other) for one, other in zip(outputs, changed, strict=True))


def test_without_both_it_is_the_stock_network(backbone):
    import_host('mmyolo')
    mine, stock = backbone(gom=None, scm=None), MODELS.build(dict(type='mmyolo.YOLOv8CSPDarknet', **THIN))
    stock.eval()
    stock.load_state_dict(mine.state_dict())
    image = torch.rand(1, 3, 64, 64)
    for one, other in zip(mine(image), stock(image), strict=True):
        assert torch.equal(one, other)


def test_stock_weights_load_but_for_what_is_new(backbone):
    mine, stock = backbone(), backbone(gom=None, scm=None)
    found = mine.load_state_dict(stock.state_dict(), strict=False)
    assert not found.unexpected_keys
    assert {'.'.join(key.split('.')[:2]) for key in found.missing_keys} == {'stage4.gom', 'stage4.scm'}


def test_arguments_reach_the_modules(backbone):
    built = backbone(gom=dict(reduction=8), scm=dict(mode='weights', momentum=0.9), out_indices=(3, 4))
    assert built.stage4.gom.channel[0].out_features == built.stage4.gom.in_channels // 8 == 16
    assert built.stage4.scm.capture.copy.momentum == 0.9
    assert len(built(torch.zeros(1, 3, 64, 64))) == 2


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (
            dict(gom=dict(reduction=3)),
            'gom.reduction = 3 does not divide in_channels = 128; 1, 2, 4, 8, 16, 32 do',
        ),
        (
            dict(gom=dict(reducton=8)),
            "gom.reducton is not an argument of GlobalOptimizationModule. Did you mean 'reduction'?",
        ),
        (
            dict(gom=dict(width=8)),
            'gom.width is not an argument of GlobalOptimizationModule. Arguments: reduction, channel_sigmoid',
        ),
        (
            dict(scm=dict(mode='weight')),
            "scm.mode = 'weight' is not one of statistics, weights. Did you mean 'weights'?",
        ),
    ],
)
def test_wrong_arguments_are_told_with_their_place(backbone, config, arguments, message):
    with pytest.raises(ConfigError) as caught:
        backbone(**arguments)
    assert str(caught.value) == message
    cfg = config('gso_yolo/gso-yolo_n_man_mini-coco.py')
    cfg.model.backbone.update(widen_factor=0.125, **arguments)
    with pytest.raises(ConfigError) as caught:
        validate(cfg, splits=())
    assert str(caught.value) == f'model.backbone.{message}'


def test_what_the_stock_network_refuses_is_told_by_it(config):
    cfg = config('gso_yolo/gso-yolo_n_man_mini-coco.py')
    cfg.model.backbone.widen_facto = 0.5
    with pytest.raises(ConfigError, match=r"^model\.backbone cannot be built: TypeError: .*argument 'widen_facto'$"):
        validate(cfg, splits=())


@pytest.mark.parametrize('name', ['GlobalOptimizationModule', 'SteadyCaptureModule'])
def test_a_module_is_a_plugin_of_other_networks(name):
    import_host('mmyolo')
    last = (False, False, False, True)
    plugins = [dict(cfg=dict(type=f'mmlocal.{name}', reduction=2), stages=last)]
    with DefaultScope.overwrite_default_scope('mmyolo'):
        network = MODELS.build(dict(type='mmyolo.YOLOv8CSPDarknet', plugins=plugins, **THIN))
    assert [type(module).__name__ for module in network.stage4][-2:] == ['SPPFBottleneck', name]


def test_mmyolo_is_asked_for_when_it_is_built(monkeypatch):
    asked = []
    monkeypatch.setattr('mmlocal.models.gso_yolo.backbone.import_host', asked.append)
    monkeypatch.setattr('mmlocal.models.gso_yolo.backbone.MODELS.build', lambda cfg: asked.append(cfg) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        gso_yolo_csp_darknet()
    assert asked == ['mmyolo', dict(type='mmyolo.YOLOv8CSPDarknet')]


def test_blocks_of_its_stages_learn_locally(detector):
    _, model, _, _ = detector('gso-yolo_n_man_mini-coco.py')
    local = model.backbone
    assert isinstance(local, LocalBackbone)
    assert [block[-1].name for block in local.local_division.blocks] == [
        'stage1.1',
        'stage2.1',
        'stage3.1',
        'stage4.scm',
    ]
    assert [unit.name for unit in local.local_division.blocks[-1]] == [
        'stage4.0',
        'stage4.1',
        'stage4.gom',
        'stage4.2',
        'stage4.scm',
    ]
    head = local.local_division.auxiliaries[0].head
    assert 'AIoULoss' in {type(m).__name__ for m in head.modules()}


def test_its_blocks_can_be_held_against_checkpointing(config):
    """A network that a function builds has no bases to ask."""
    import_host('mmyolo')
    way = checkpointed(localize(config('gso_yolo/gso-yolo_n_man_mini-coco.py')))
    assert way.name == 'end-to-end, units recomputed'
    assert way.cfg.model.backbone.recompute


@pytest.mark.integration
@pytest.mark.parametrize('cut', ['stage4.1', 'stage4.gom', 'stage4.2'])
def test_a_cut_around_the_modules(detector, make_loop, cut):
    """Copies of GOM, of SPPF, and of SCM with a twin of its own, as MAN's bridges."""
    option = {'model.backbone.partition': ['stage2.1', cut], 'model.backbone.scm': dict(mode='weights')}
    _, model, optim, make_batch = detector('gso-yolo_n_man_mini-coco.py', **option)
    loop = make_loop(model, optim)
    logs = loop.step(**make_batch(128))
    assert all(torch.isfinite(torch.as_tensor(value)).all() for value in logs.values())
    twin = model.backbone.stage4.scm.capture.copy
    assert twin.steps == 2  # started, and moved


@pytest.mark.parametrize('name', ['soda', 'mocs', 'cis'])
def test_classes_that_the_files_spell_otherwise_are_refused(config, tmp_path, name):
    cfg = config(f'gso_yolo/gso-yolo_s_{name}.py')
    import_host('mmyolo')
    dataset = cfg.train_dataloader.dataset
    classes = dataset.metainfo.classes
    assert len(classes) == len(set(classes)) == cfg.model.bbox_head.head_module.num_classes
    assert len(classes) == cfg.model.train_cfg.assigner.num_classes
    assert cfg.val_dataloader.dataset.metainfo.classes == cfg.test_dataloader.dataset.metainfo.classes == classes
    dataset.data_root = f'{tmp_path}/'
    dataset.pipeline = []
    (tmp_path / 'annotations').mkdir()

    def check(names):
        categories = [dict(id=i, name=one) for i, one in enumerate(names)]
        content = dict(images=[], annotations=[], categories=categories)
        (tmp_path / dataset.ann_file).write_text(json.dumps(content))
        with DefaultScope.overwrite_default_scope('mmyolo'), reading() as notes:
            built = DATASETS.build(dict(dataset, lazy_init=True))
            built.load_data_list()
            check_categories(built, notes)

    check(classes)
    with pytest.raises(ConfigError, match=rf'no category of .* is called {classes[-1]}\. It has {classes[0]}, '):
        check([*classes[:-1], 'another'])
    with pytest.raises(ConfigError, match='Give the classes in that order'):
        check(classes[::-1])


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('mini')
    for split, count in (('train', 2 * BATCHES), ('val', 2)):
        export_coco(root, split, make_scenes(split, count, seed=0, spec=SceneSpec(size=64, empty=0.0)))
    return f'{root}/'


@pytest.fixture
def train(config, data_root, tmp_path):
    """Train a thin detector, saving every epoch or iteration, and return its runner."""

    def run(config_name, name, **options):
        cfg = config(f'gso_yolo/{config_name}')
        for part in (cfg.model.backbone, cfg.model.neck, cfg.model.bbox_head.head_module):
            part.widen_factor = 0.125
        cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
        cfg.train_dataloader.dataset.data_root = data_root
        for loop in ('val', 'test'):
            for part in ('dataloader', 'evaluator', 'cfg'):
                cfg.pop(f'{loop}_{part}')
        cfg.train_cfg.max_epochs = EPOCHS
        cfg.train_cfg.pop('val_interval')
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch='_man_' not in config_name, interval=1)
        cfg.work_dir = str(tmp_path / name)
        cfg.log_level = 'ERROR'
        cfg.merge_from_dict(options)
        runner = Runner.from_cfg(Config(localize(cfg)._cfg_dict.to_dict()))
        runner.train()
        return runner

    return run


@pytest.mark.integration
@pytest.mark.parametrize(
    ('name', 'stop'),
    [
        # mmengine resumes between epochs; local learning anywhere.
        ('gso-yolo_n_mini-coco.py', 'epoch_1'),
        ('gso-yolo_n_weights_mini-coco.py', 'epoch_1'),
        ('gso-yolo_n_man_mini-coco.py', 'iter_3'),
    ],
)
def test_a_resumed_run_ends_as_one_that_was_not_stopped(train, tmp_path, name, stop):
    import_host('mmyolo')
    whole = copy.deepcopy(train(name, 'whole').model.state_dict())
    checkpoint = tmp_path / 'whole' / f'{stop}.pth'
    resumed = train(name, 'resumed', load_from=str(checkpoint), resume=True).model.state_dict()
    assert resumed.keys() == whole.keys()
    for key, value in whole.items():
        assert torch.equal(resumed[key], value), key
    kept = [key for key in whole if key.endswith(('scm.capture.mean', 'scm.capture.copy.module.conv.weight'))]
    before = torch.load(checkpoint, weights_only=False)['state_dict']
    assert kept
    assert all(not torch.equal(before[key], whole[key]) for key in kept)
