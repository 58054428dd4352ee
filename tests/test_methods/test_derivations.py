"""Every method's losses and gradients against its equations, in float64."""

import copy
import weakref

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch.optim import SGD

from mmlocal.auxiliaries import CopyBridge, MomentumCopy
from mmlocal.config import localize, method_names
from mmlocal.config.make_local import PRESETS
from mmlocal.engine import BlockwiseOptimWrapper
from mmlocal.registry import MODELS
from tests.test_methods.derivations import CLASSES, CUTS, METHODS, Net

MEAN, STD = [110.0, 120.0, 130.0], [60.0, 50.0, 70.0]
# What is other than the preset.
CHANGES = {
    'infopro, contrast': dict(head=dict(type='mmlocal.ContrastHead')),
    'hpff, InfoPro': dict(
        cascade=dict(terms=dict(reconstruction=dict(type='mmlocal.Reconstruction', loss_weight=5.0)))
    ),
    'man_plus_plus, ViT': dict(bridge=dict(units=dict(type='Next', depth=2))),
}


def preset(name):
    method = name.split(',')[0]
    arguments = Config.fromfile(PRESETS / f'{method}.py')
    arguments.merge_from_dict({method: dict(auxiliary=CHANGES.get(name, {}))})
    return arguments[method].to_dict()


def build(name):
    """A classifier with a ResNet-20 for CIFAR in four blocks, its weights drawn anew so that no copies are equal."""
    backbone = dict(type='mmlocal.LocalBackbone', arch='mmlocal.CifarResNet', depth=20, partition=CUTS, **preset(name))
    model = dict(
        type='ImageClassifier',
        data_preprocessor=dict(type='ClsDataPreprocessor', mean=MEAN, std=STD),
        backbone=backbone,
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=CLASSES, in_channels=64, loss=dict(type='CrossEntropyLoss')),
    )
    torch.manual_seed(0)
    cfg = localize(Config(dict(default_scope='mmpretrain', model=model, optim_wrapper=dict(optimizer=dict()))))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        built = MODELS.build(copy.deepcopy(cfg.model)).double().train()
    with torch.no_grad():
        for module in built.modules():
            if isinstance(module, (CopyBridge, MomentumCopy)):
                module.start()
        for p in built.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return built


def library(model, images, samples):
    """Losses of the blocks and gradients of one step; the optimizer neither moves nor clears anything."""
    optim = BlockwiseOptimWrapper(SGD(model.parameters(), lr=0.0))
    optim.zero_grad = lambda **_: None
    logs = {}
    optim._log = lambda name, value: logs.__setitem__(name, value)
    with optim.optim_context(model):
        losses = model(images, samples, mode='loss')
    optim.update_params(model.parse_losses(losses)[0])
    names = sorted({name.split('.')[0] for name in logs})
    totals = [sum(v for k, v in logs.items() if k.startswith(f'{name}.') and 'loss' in k) for name in names]
    return totals, {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


def classes_of(labels):
    from mmpretrain.structures import DataSample

    return [DataSample().set_gt_label(label) for label in labels]


@pytest.fixture(scope='module', autouse=True)
def networks():
    import mmlocal.models.cifar_resnet  # noqa: F401


def test_every_method_is_derived():
    assert {name.split(',')[0] for name in METHODS} == set(method_names())


@pytest.mark.parametrize('name', METHODS)
def test_losses_and_gradients(name):
    model = build(name)
    torch.manual_seed(1)
    raw = torch.rand(6, 3, 16, 16, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1, 4])
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (MEAN, STD))
    images = (raw * 255 - mean) / std
    weights = {name: p.detach().clone().requires_grad_(p.requires_grad) for name, p in model.named_parameters()}
    expected = METHODS[name](Net(weights), images, raw, labels)
    losses, gradients = library(model, images, classes_of(labels))
    assert len(losses) == len(expected)
    for mine, other in zip(losses, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)
    for key, mine in gradients.items():
        other = weights[key].grad
        assert (mine is None) == (other is None), key
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-11, msg=lambda text, key=key: f'{key}: {text}')


@pytest.mark.parametrize('name', ['man', 'hilo', 'hpff', 'mlaan', 'backlink'])
def test_every_unit_runs_once_a_step_and_few_graphs_live(name):
    """The released code of HPFF and MLAAN runs a unit two or three times for the same gradients."""
    model = build(name)
    network = model.backbone
    counts = dict.fromkeys((unit.name for unit in network.local_division.units), 0)
    for unit in network.local_division.units:
        module = network.get_submodule(unit.end)
        module.register_forward_hook(lambda *_, name=unit.name: counts.update({name: counts[name] + 1}))
    images = torch.randn(6, 3, 16, 16, dtype=torch.float64)
    library(model, images, classes_of(torch.tensor([0, 1, 2, 0, 1, 4])))
    assert set(counts.values()) == {1}


class Kept:
    """A tensor that autograd keeps; it dies with the graph."""

    def __init__(self, tensor):
        self.tensor = tensor


@pytest.mark.parametrize(('name', 'reach'), [('man', 1), ('hilo', 2), ('hpff', 2), ('mlaan', 3)])
def test_at_most_reach_blocks_are_held(name, reach):
    """When a block begins, how many blocks before it still have something kept for a backward."""
    model = build(name)
    network, kept, held = model.backbone, [], []

    def begin(*_):
        held.append({block for block, one in kept if one() is not None})

    def pack(tensor):
        one = Kept(tensor)
        kept.append((len(held), weakref.ref(one)))
        return one

    for block in network.local_division.blocks:
        network.get_submodule(block[0].modules[0]).register_forward_pre_hook(begin)
    images = torch.randn(6, 3, 16, 16, dtype=torch.float64)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one.tensor):
        library(model, images, classes_of(torch.tensor([0, 1, 2, 0, 1, 4])))
    # The block that begins is one of those that are held.
    assert max(map(len, held)) == reach - 1
