"""Every config builds its full model and trains it."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmlocal.auxiliaries import Auxiliary, MomentumBridge, MomentumCopy
from mmlocal.auxiliaries.heads.contrast import ContrastHead
from mmlocal.blocks import LocalBackbone
from mmlocal.config import is_local

CONFIGS = Path(__file__).parent.parent / 'configs'
LEAVES = sorted(p.relative_to(CONFIGS) for p in CONFIGS.glob('*/*.py') if p.parent.name != '_base_')
TRAINED_FULLY = 'man/faster_rcnn_r50_man_coco.py'
# Side of the generated images: a network for thumbnails, or one without any stride, gets small ones.
SIZES = {'cifar10': 32, 'svhn': 32, 'mini-digits': 32, 'stl10': 96, 'div2k': 24, 'mini-div2k': 24, 'fashion-mnist': 32}


def share_of(paths):
    """Of each folder the smallest of a family of networks; the others are trained by `make bench-configs`."""
    first = {}
    for path in sorted(paths, key=lambda p: [int(n) for n in re.findall(r'\d+', p.stem)]):
        family = re.split(r'[\d_]', path.stem)[0]
        first.setdefault((path.parent, family, 'mini' in path.stem), path)
    return set(first.values())


SHARE = share_of(LEAVES) | {Path(TRAINED_FULLY)}
TRAINED = [pytest.param(p, marks=[] if p in SHARE else pytest.mark.slow, id=str(p)) for p in LEAVES]


def size_of(path):
    if str(path) == TRAINED_FULLY:  # boxes for every level
        return 512
    if 'yolov8' in path.stem or 'gso-yolo' in path.stem:
        return 384
    return SIZES.get(path.stem.split('_')[-1], 128)


def weightless(model):
    """Auxiliaries whose published weights end, or begin, at zero, and heads that find no positive in a small batch."""
    weighted_zero = [m for m in model.modules() if isinstance(m, Auxiliary) and m.loss_weight == 0]
    return [*weighted_zero, *(m for m in model.modules() if isinstance(m, ContrastHead))]


def step(loop, batch):
    torch.manual_seed(0)
    model = loop.model
    with torch.no_grad():
        for module in model.modules():
            # The two copies start equal, where the scalar between them has no gradient.
            if isinstance(module, MomentumBridge):
                for p in module.learnable.parameters():
                    p.add_(0.1 * torch.randn_like(p))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    logs = loop.step(**batch)
    assert all(torch.isfinite(torch.as_tensor(value)).all() for value in logs.values())
    return before


@pytest.mark.integration
@pytest.mark.parametrize('path', TRAINED)
def test_one_step_moves_what_trains_and_nothing_else(path, build_lively, make_loop):
    cfg, model, optim, make_batch = build_lively(Config.fromfile(CONFIGS / path))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        batch = make_batch(size_of(path))
        before = step(make_loop(model, optim), batch)
    copies = {id(p) for m in model.modules() if isinstance(m, MomentumCopy) for p in m.parameters()}
    unweighted = {id(p) for auxiliary in weightless(model) for p in auxiliary.parameters()}
    for name, p in model.named_parameters():
        if id(p) in unweighted:
            continue
        if p.requires_grad:
            assert not torch.equal(p, before[name]), f'{name} did not move'
        elif id(p) not in copies:
            assert torch.equal(p, before[name]), f'{name} is frozen and moved'
    assert is_local(cfg) == any(isinstance(m, LocalBackbone) for m in model.modules())
    assert bool(copies) == bool({'man', 'mlaan', 'weights'} & set(re.split('[_-]', path.stem)))


def test_every_local_config_has_its_end_to_end_twin():
    names = {p.name for p in LEAVES if p.parent.name in ('e2e', 'gso_yolo')}
    methods = [(p.name, 'man' if p.parent.name == 'gso_yolo' else p.parent.name) for p in LEAVES]
    assert {re.sub(rf'_{method}(-[a-z-]+)?(_k\d+)?', '', name) for name, method in methods} <= names


def test_a_config_is_short():
    long = [str(path) for path in CONFIGS.rglob('*.py') if len(path.read_text().splitlines()) > 60]
    assert long == []
