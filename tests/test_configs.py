"""Every config builds its full model and trains it."""

import copy
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, OPTIM_WRAPPERS, DefaultScope
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD

from mmlocal.auxiliaries import MomentumBridge, MomentumCopy
from mmlocal.compat import import_hosts, name_installed_distributions
from mmlocal.config import is_local, localize

CONFIGS = Path(__file__).parent.parent / 'configs'
LEAVES = sorted(p.relative_to(CONFIGS) for p in CONFIGS.glob('*/*.py') if p.parent.name != '_base_')
TRAINED_FULLY = 'man/faster_rcnn_r50_man_coco.py'
# Side of the generated images: a network for thumbnails, or one without any stride, gets small ones.
SIZES = {'cifar10': 32, 'svhn': 32, 'mini-digits': 32, 'stl10': 96, 'div2k': 24, 'mini-div2k': 24}


def build(path):
    name_installed_distributions()
    cfg = Config.fromfile(CONFIGS / path)
    import_hosts(cfg)
    cfg = localize(cfg)
    cfg.model.pop('pretrained', None)
    if 'backbone' in cfg.model:
        cfg.model.backbone.init_cfg = None  # no download
    # As the runner does it.
    cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    cfg.model.data_preprocessor.pop('batch_augments', None)
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
    kept = {'type': 'OptimWrapper', **cfg.optim_wrapper, 'optimizer': optimizer}
    wrapper = {key: value for key, value in kept.items() if key not in ('paramwise_cfg', 'constructor')}
    return cfg, model, OPTIM_WRAPPERS.build(wrapper)


def last_argument(model):
    """What a generated batch has to fit: the scale of a restoration model, the classes of any other."""
    generator = model.get('generator')
    if generator:
        return generator.get('upscale_factor') or generator.upscale
    slots = (
        model.get('bbox_head'),
        model.get('bbox_head', {}).get('head_module'),
        model.get('roi_head', {}).get('bbox_head'),
        model.get('decode_head'),
        model.get('head'),
    )
    return next(head.num_classes for head in slots if head and 'num_classes' in head)


def size_of(path):
    if str(path) == TRAINED_FULLY:
        return 512
    return SIZES.get(path.stem.split('_')[-1], 128)


def step(loop, batch):
    torch.manual_seed(0)
    model = loop.model
    with torch.no_grad():
        for module in model.modules():
            # The two copies start equal, where the scalar between them has no gradient.
            if isinstance(module, MomentumBridge):
                for p in module.bias.parameters():
                    p.add_(0.1 * torch.randn_like(p))
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
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        batch = generated_batch(cfg.default_scope, size_of(path), last_argument(cfg.model))
        before = step(make_loop(model, optim), batch)
    copies = {id(p) for m in model.modules() if isinstance(m, MomentumCopy) for p in m.parameters()}
    for name, p in model.named_parameters():
        if p.requires_grad:
            assert not torch.equal(p, before[name]), f'{name} did not move'
        elif id(p) not in copies:
            assert torch.equal(p, before[name]), f'{name} is frozen and moved'
    assert is_local(cfg) == bool(copies)


def test_every_local_config_has_its_end_to_end_twin():
    local = [re.sub(r'_man(_k\d+)?', '', p.name) for p in LEAVES if p.parent.name == 'man']
    assert set(local) <= {p.name for p in LEAVES if p.parent.name == 'e2e'}


@pytest.mark.parametrize('path', sorted(CONFIGS.rglob('*.py')), ids=lambda p: str(p.relative_to(CONFIGS)))
def test_a_config_is_short(path):
    assert len(path.read_text().splitlines()) <= 60
