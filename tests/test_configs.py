"""Every config builds its full model and trains it."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, OPTIM_WRAPPERS, DefaultScope
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD

from mmlocal.auxiliaries import MomentumBridge, MomentumCopy
from mmlocal.compat import name_installed_distributions
from mmlocal.config import is_local, localize

CONFIGS = Path(__file__).parent.parent / 'configs'
LEAVES = sorted(p.relative_to(CONFIGS) for folder in ('man', 'e2e') for p in (CONFIGS / folder).glob('*.py'))
TRAINED_FULLY = 'man/faster_rcnn_r50_man_coco.py'


def build(path):
    name_installed_distributions()
    cfg = localize(Config.fromfile(CONFIGS / path))
    cfg.model.backbone.init_cfg = None  # no download
    cfg.model.pop('pretrained', None)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(copy.deepcopy(cfg.model)).train()
    model.init_weights()
    model = revert_sync_batchnorm(model)
    with torch.no_grad():
        for module in model.modules():
            # Hosts start residual branches at zero, where their weights have no gradient.
            if isinstance(module, _BatchNorm):
                module.weight.uniform_(0.5, 1.0)
    optimizer = SGD(model.parameters(), lr=10.0)  # moves where the norm of all gradients is clipped, too
    wrapper = {key: value for key, value in cfg.optim_wrapper.items() if key != 'paramwise_cfg'}
    return cfg, model, OPTIM_WRAPPERS.build({'type': 'OptimWrapper', **wrapper, 'optimizer': optimizer})


def classes_of(model):
    slots = (
        model.get('bbox_head'),
        model.get('roi_head', {}).get('bbox_head'),
        model.get('decode_head'),
        model.get('head'),
    )
    return next(head.num_classes for head in slots if head)


def step(loop, batch):
    torch.manual_seed(0)
    model = loop.model
    with torch.no_grad():
        for module in model.modules():
            # The two copies start equal, where the scalar between them has no gradient.
            if isinstance(module, MomentumBridge):
                module.bias.conv1.weight.normal_(std=0.1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    logs = loop.step(**batch)
    assert all(torch.isfinite(torch.as_tensor(value)).all() for value in logs.values())
    return before


@pytest.mark.integration
@pytest.mark.parametrize('path', LEAVES, ids=str)
def test_one_step_moves_what_trains_and_nothing_else(path, generated_batch, make_loop):
    cfg, model, optim = build(path)
    if cfg.default_scope == 'mmseg':
        model.data_preprocessor.size = (128, 128)
    size = 512 if str(path) == TRAINED_FULLY else 128
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        before = step(make_loop(model, optim), generated_batch(cfg.default_scope, size, classes_of(cfg.model)))
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
