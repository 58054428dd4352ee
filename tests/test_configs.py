"""Every config builds its full model and trains it."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, OPTIM_WRAPPERS, DefaultScope
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD

from mmlocal.auxiliaries import MomentumBridge, MomentumCopy
from mmlocal.config import is_local, localize
from mmlocal.engine import MomentumHook

CONFIGS = Path(__file__).parent.parent / 'configs'
LEAVES = sorted(p.relative_to(CONFIGS) for folder in ('man', 'e2e') for p in (CONFIGS / folder).glob('*.py'))
TRAINED_FULLY = 'man/faster_rcnn_r50_man_coco.py'


class Loop:
    """What the momentum hook needs of a runner."""

    def __init__(self, model, optim_wrapper):
        self.model, self.optim_wrapper = model, optim_wrapper


def build(path):
    cfg = localize(Config.fromfile(CONFIGS / path))
    cfg.model.backbone.init_cfg = None  # no download
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(copy.deepcopy(cfg.model)).train()
    model.init_weights()
    with torch.no_grad():
        for module in model.modules():
            # mmdet starts residual branches at zero, where their weights have no gradient.
            if isinstance(module, _BatchNorm):
                module.weight.uniform_(0.5, 1.0)
    optimizer = SGD(model.parameters(), lr=10.0)  # moves where the norm of all gradients is clipped, too
    optim = OPTIM_WRAPPERS.build({**cfg.optim_wrapper, 'optimizer': optimizer})
    return cfg, model, optim


def step(cfg, model, optim, size):
    from mmdet.testing import demo_mm_inputs

    torch.manual_seed(0)
    loop = Loop(model, optim)
    MomentumHook().before_train(loop)
    with torch.no_grad():
        for module in model.modules():
            # The two copies start equal, where the scalar between them has no gradient.
            if isinstance(module, MomentumBridge):
                module.bias.conv1.weight.normal_(std=0.1)
    head = cfg.model.get('bbox_head') or cfg.model.roi_head.bbox_head
    classes = head.num_classes
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    images = demo_mm_inputs(2, image_shapes=[[3, size, size]] * 2, num_items=[4, 4], num_classes=classes)
    logs = model.train_step(images, optim)
    assert all(torch.isfinite(torch.as_tensor(value)).all() for value in logs.values())
    return before


@pytest.mark.integration
@pytest.mark.usefixtures('mmdet_scope')
@pytest.mark.parametrize('path', LEAVES, ids=str)
def test_one_step_moves_what_trains_and_nothing_else(path):
    cfg, model, optim = build(path)
    size = 512 if str(path) == TRAINED_FULLY else 128
    before = step(cfg, model, optim, size)
    copies = {id(p) for m in model.modules() if isinstance(m, MomentumCopy) for p in m.parameters()}
    for name, p in model.named_parameters():
        if p.requires_grad:
            assert not torch.equal(p, before[name]), f'{name} did not move'
        elif id(p) not in copies:
            assert torch.equal(p, before[name]), f'{name} is frozen and moved'
    assert is_local(cfg) == bool(copies)


def test_every_local_config_has_its_end_to_end_twin():
    local = [p.name for p in LEAVES if p.parent.name == 'man']
    assert {name.replace('_man', '') for name in local} <= {p.name for p in LEAVES if p.parent.name == 'e2e'}


@pytest.mark.parametrize('path', sorted(CONFIGS.rglob('*.py')), ids=lambda p: str(p.relative_to(CONFIGS)))
def test_a_config_is_short(path):
    assert len(path.read_text().splitlines()) <= 60
