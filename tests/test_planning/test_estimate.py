"""Estimated peaks agree with measured ones within 5 %, on every mini config and on full-size ones."""

from pathlib import Path

import pytest
import torch

from mmlocal.config import localize
from mmlocal.errors import ConfigError
from mmlocal.hosts import import_hosts, name_installed_distributions
from mmlocal.memory import fake_step
from mmlocal.planning import TrainingStep, estimate

CONFIGS = Path(__file__).parents[2] / 'configs'
SIDES = dict(coco=128, voc=128, cityscapes=96, div2k=48, digits=32)
MINI = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.glob('*/*_mini-*.py'))
FULL = {
    'man/resnet50_man-plus-plus_imagenet.py': ((3, 224, 224), 4),
    'man/faster_rcnn_r50_man_coco.py': ((3, 256, 256), 2),
}


def load(config, path):
    name_installed_distributions()
    cfg = localize(config(path))
    import_hosts(cfg)
    return cfg


def compared(cfg, shape, batch):
    _, ledger = estimate(cfg, shape, batch)
    measured = TrainingStep(cfg, shape, batch).peak_bytes()
    return ledger.peak_bytes / measured


@pytest.mark.parametrize('path', MINI)
def test_mini_config(config, path):
    (side,) = [side for name, side in SIDES.items() if f'mini-{name}' in path]
    assert compared(load(config, path), (3, side, side), 4) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize('path', FULL)
def test_full_size_config(config, path):
    assert compared(load(config, path), *FULL[path]) == pytest.approx(1, abs=0.05)


def test_a_size_that_no_machine_here_holds_takes_no_memory(config):
    cfg = load(config, 'e2e/resnet152_imagenet.py')
    step, ledger = estimate(cfg, (3, 224, 224), 256)
    assert 35 * 2**30 < ledger.peak_bytes < 50 * 2**30
    assert step.static_bytes() > 2 * 4 * 60e6  # weights and momentum


@pytest.mark.parametrize(
    'path', ['man/retinanet_r50_man-plus-plus_coco.py', 'man/upernet_swin-tiny_man-plus-plus_cityscapes.py']
)
def test_features_kept_for_the_neck_are_half_under_autocast(config, path):
    cfg, kept = load(config, path), []
    with fake_step() as fake:
        step = TrainingStep(cfg, (3, 128, 128), 2, fake=fake, warm_up=False, amp=True)
        step.model.backbone.register_forward_hook(lambda _module, _args, outputs: kept.extend(outputs))
        step.run()
    assert {feature.dtype for feature in kept} == {torch.bfloat16}


def test_images_that_the_model_cannot_take(config):
    cfg = load(config, 'e2e/deeplabv3_r18_mini-cityscapes.py')
    with pytest.raises(
        ConfigError, match='cannot take a step with 1 images of 3x64x64: ValueError: Expected more than 1'
    ):
        estimate(cfg, (3, 64, 64), 1)


def test_images_without_three_channels(config):
    with pytest.raises(ConfigError, match='5 channels: the generated images have 3'):
        estimate(load(config, 'e2e/resnet32_mini-digits.py'), (5, 32, 32), 4)


def test_a_model_that_cannot_be_built(config):
    cfg = load(config, 'e2e/resnet32_mini-digits.py')
    cfg.model.backbone.widths = 3
    with pytest.raises(ConfigError, match=r'the model cannot be built: TypeError: .*widths'):
        estimate(cfg, (3, 32, 32), 4)


def test_a_config_without_a_preprocessor(config):
    cfg = load(config, 'e2e/resnet32_mini-digits.py')
    cfg.model.pop('data_preprocessor', None)
    cfg.pop('data_preprocessor', None)
    with pytest.raises(ConfigError, match='data_preprocessor is missing'):
        estimate(cfg, (3, 32, 32), 4)
