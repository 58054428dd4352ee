"""What was trained is used by the hosts' own tools: from its config, from its checkpoints, published or not."""

import functools

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint

from mmlocal.blocks import LocalBackbone
from mmlocal.commands import main
from mmlocal.commands.publish import publish
from mmlocal.config import localize, stock_config
from mmlocal.errors import ConfigError
from mmlocal.hosts import import_host

CONFIGS = {
    'mmdet': ('man/retinanet_r18_man-plus-plus_mini-coco.py', {}),
    'mmseg': ('man/deeplabv3_r18_man_mini-cityscapes.py', {}),
    'mmpretrain': (
        'man/resnet50_man-plus-plus_imagenet.py',
        {'model.backbone.depth': 18, 'model.backbone.base_channels': 16, 'model.head.in_channels': 128},
    ),
    'mmagic': ('man/edsr_x2_man_mini-div2k.py', {}),
}
KINDS = ['config', 'checkpoint', 'published']


def detect(config, weights, image):
    from mmdet.apis import inference_detector, init_detector

    model = init_detector(config, weights, device='cpu')
    return model, inference_detector(model, image).pred_instances.scores


def segment(config, weights, image):
    from mmseg.apis import inference_model, init_model

    model = init_model(config, weights, device='cpu')
    return model, inference_model(model, image).seg_logits.data


def classify(config, weights, image):
    from mmpretrain.apis import ImageClassificationInferencer

    inferencer = ImageClassificationInferencer(config, pretrained=weights or False, device='cpu')
    return inferencer.model, torch.from_numpy(inferencer(image)[0]['pred_scores'])


def restore(config, weights, image):
    # Its `apis` import parts that restoration does not need and that are not installed.
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope('mmagic'):
        model = MODELS.build(cfg.model).eval()
    if weights:
        load_checkpoint(model, weights, map_location='cpu')
    pixels = torch.from_numpy(cv2.imread(image)).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        return model, model(pixels, mode='tensor')


APIS = {'mmdet': detect, 'mmseg': segment, 'mmpretrain': classify, 'mmagic': restore}


@pytest.fixture(scope='module')
def runs(tmp_path_factory, request):
    """For a host: an incomplete config, a checkpoint as a run leaves it, and the same published."""

    @functools.cache
    def made(host):
        folder = tmp_path_factory.mktemp(host)
        name, changes = CONFIGS[host]
        import_host(host)
        cfg = Config.fromfile(request.config.rootpath / 'configs' / name)
        cfg.merge_from_dict(changes)
        cfg.dump(folder / 'config.py')
        whole = localize(cfg)
        with DefaultScope.overwrite_default_scope(host):
            torch.manual_seed(0)
            model = MODELS.build(whole.model)
        names = tuple(map(str, range(1000)))
        of_data = dict(classes=names, palette=[(i % 256, 0, 0) for i in range(1000)])
        meta = dict(cfg=whole.pretty_text, dataset_meta=of_data)
        torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'epoch_1.pth')
        published = publish(str(folder / 'epoch_1.pth'), folder / 'published.pth')
        return folder, {'config': None, 'checkpoint': str(folder / 'epoch_1.pth'), 'published': str(published)}

    return made


@pytest.fixture(scope='module')
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp('images') / 'one.png'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8))
    return str(path)


@pytest.mark.integration
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('host', APIS)
def test_a_hosts_own_tool_opens_it(host, kind, runs, picture):
    folder, weights = runs(host)
    with DefaultScope.overwrite_default_scope(host):  # for the time of the test
        model, result = APIS[host](str(folder / 'config.py'), weights[kind], picture)
    assert torch.isfinite(result.float()).all()
    if weights[kind]:
        stored = torch.load(weights['published'], weights_only=False)['state_dict']
        found = model.state_dict()
        assert stored.keys() == found.keys()
        assert all(torch.equal(found[key], value) for key, value in stored.items())


@pytest.mark.integration
@pytest.mark.parametrize('host', APIS)
def test_a_published_config_needs_no_mmlocal(host, runs):
    _, weights = runs(host)
    published = torch.load(weights['published'], weights_only=False)
    assert 'mmlocal' not in published['meta']['cfg']
    cfg = Config.fromstring(published['meta']['cfg'], '.py')
    with DefaultScope.overwrite_default_scope(host):
        model = MODELS.build(cfg.model)
    assert not any(isinstance(module, LocalBackbone) for module in model.modules())
    model.load_state_dict(published['state_dict'], strict=True)


@pytest.mark.integration
@pytest.mark.parametrize('host', APIS)
def test_the_command_draws_pictures(host, runs, picture, tmp_path, capsys):
    _, weights = runs(host)
    for kind in ('checkpoint', 'published'):
        main(['infer', weights[kind], picture, '--out-dir', str(tmp_path / kind)])
        assert f'pictures: {tmp_path / kind}' in capsys.readouterr().out
        drawn = [path for path in (tmp_path / kind).rglob('*') if path.suffix in ('.png', '.jpg')]
        assert drawn
        scale = 2 if host == 'mmagic' else 1
        if host in ('mmdet', 'mmagic'):
            assert cv2.imread(str(drawn[0])).shape == (40 * scale, 56 * scale, 3)


def test_what_cannot_be_drawn_is_refused(tmp_path, capsys):
    torch.save(dict(state_dict={}), tmp_path / 'bare.pth')
    (tmp_path / 'empty').mkdir()
    for arguments, fault in (
        ((str(tmp_path / 'none.pth'), __file__), 'does not exist'),
        ((str(tmp_path / 'bare.pth'), __file__), 'holds no config. Give it: --config FILE'),
        ((str(tmp_path / 'bare.pth'), str(tmp_path / 'empty')), 'has no image in it'),
    ):
        with pytest.raises(SystemExit) as ended:
            main(['infer', *arguments])
        assert ended.value.code == 2
        assert fault in capsys.readouterr().err


def test_all_that_local_learning_adds_is_undone(config):
    """The stock form of a completed local config is that of its end-to-end twin."""
    local, twin = config('man/retinanet_r50_man-plus-plus_coco.py'), config('e2e/retinanet_r50_coco.py')
    stock, wanted = stock_config(localize(local)), stock_config(localize(twin))
    for cfg in (stock, wanted):
        cfg.pop('custom_hooks', None)
    assert Config(stock).to_dict() == {**Config(wanted).to_dict(), **{'default_hooks': stock['default_hooks']}}
    assert stock['default_hooks']['checkpoint']['type'] == 'CheckpointHook'
    assert stock['optim_wrapper'] == twin.optim_wrapper


def test_without_heads_it_does_not_train(mmdet_scope):
    auxiliary = dict(type='mmlocal.Auxiliary')
    network = MODELS.build(
        dict(type='mmlocal.LocalBackbone', arch='ResNet', depth=18, partition=['layer2.1'], auxiliary=auxiliary)
    )
    image = torch.zeros(1, 3, 32, 32)
    network.train()
    with pytest.raises(ConfigError, match=r'tools/train\.py'):
        network(image)
    network.eval()
    network(image)
