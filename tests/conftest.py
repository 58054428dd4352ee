"""A small real host, and detectors, for all tests."""

import copy
import logging
import os

os.environ.setdefault('OMP_NUM_THREADS', '1')  # two test processes on two cores

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.registry import OPTIM_WRAPPERS, DefaultScope
from mmengine.runner import set_random_seed
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD

from mmlocal.config import localize
from mmlocal.engine import BlockwiseOptimWrapper, MomentumHook
from mmlocal.hosts import import_hosts, name_installed_distributions
from mmlocal.hosts.generated_batches import generated_batch, what_fits
from mmlocal.registry import MODELS


def pytest_collection_modifyitems(items):
    """First those that fork processes which train: a backward of fake tensors starts threads that no fork survives."""
    items.sort(key=lambda item: not item.get_closest_marker('forks'))


@MODELS.register_module()
class SquareHead(nn.Module):
    """A local head without targets: mean square of a linear read-out of the pooled feature."""

    description = 'test head'

    def __init__(self, in_channels, stride, width=3):
        super().__init__()
        self.linear = nn.Linear(in_channels, width)

    def forward(self, feature):
        return self.linear(feature.mean((2, 3)))

    def loss(self, feature, inputs, data_samples):
        return dict(loss_square=self(feature).square().mean(), acc=torch.zeros(()))


class Host(BaseModel):
    """Backbone and a read-out of its last output; `neck` adds up all outputs."""

    def __init__(self, backbone, neck=False):
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.neck = neck
        self.linear = nn.LazyLinear(2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        features = self.backbone(inputs)
        used = features if self.neck else features[-1:]
        output = self.linear(torch.cat([f.mean((2, 3)) for f in used], 1))
        return dict(loss=output.square().mean()) if mode == 'loss' else output


RESNET = dict(type='mmdet.ResNet', depth=18, base_channels=8, norm_eval=False)
AUXILIARY = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
MAN = dict(AUXILIARY, bridge=dict(type='mmlocal.MomentumBridge', momentum=0.9, scaling=True))


def build_host(seed=0, neck=False, dtype=torch.float64, whole=None, **backbone):
    """A host on a thin ResNet-18; with `partition` its backbone is local. Or on the backbone of a `whole` config."""
    config = whole or {**RESNET, **backbone}
    if 'partition' in config and whole is None:
        config = {'auxiliary': AUXILIARY, **config, 'arch': config['type'], 'type': 'mmlocal.LocalBackbone'}
    torch.manual_seed(seed)
    host = Host(config, neck).to(dtype)
    host(torch.zeros(2, 3, 64, 64, dtype=dtype))
    return host.train()


class Loop:
    """What the momentum hook needs of a runner; `step` trains once."""

    def __init__(self, model, optim_wrapper=None, **kwargs):
        self.model = model
        self.optim_wrapper = optim_wrapper or BlockwiseOptimWrapper(SGD(model.parameters(), lr=0.1), **kwargs)
        self.hook = MomentumHook()
        self.hook.before_train(self)

    def step(self, inputs, data_samples=None):
        return self.model.train_step(dict(inputs=inputs, data_samples=data_samples), self.optim_wrapper)


@pytest.fixture
def make_loop():
    """A model, its optimizer wrapper and the started momentum hook."""
    return Loop


@pytest.fixture
def make_host():
    return build_host


@pytest.fixture
def man_auxiliary():
    return copy.deepcopy(MAN)


@pytest.fixture
def image():
    torch.manual_seed(1)
    return torch.randn(2, 3, 64, 64, dtype=torch.float64)


@pytest.fixture(autouse=True)
def quiet():
    """Hosts log every initialised parameter; a test's own failure should be what is seen."""
    MMLogger.get_current_instance().setLevel(logging.ERROR)


@pytest.fixture
def mmdet_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


@pytest.fixture
def config():
    """Load a config of this project by its path below configs/."""
    root = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'configs')
    return lambda path: Config.fromfile(os.path.join(root, path))


@pytest.fixture(name='generated_batch')
def few_images():
    """Generated images of `size` with annotations, in the form of a host: `generated_batch('mmseg', 64, 19)`.

    The last argument is the number of classes; for restoration the scale.
    """
    return lambda scope, size, fits: generated_batch(scope, (size, size), 4 if scope == 'mmpretrain' else 2, fits)


def build_from(cfg):
    """A config's completed form, its model, its optimizer wrapper, and `make_batch(size)` that fits.

    The model is as the runner would build it, from random weights; its branches do something from the
    start, and its optimizer takes large steps.
    """
    set_random_seed(0)
    import_hosts(cfg)
    cfg = localize(cfg)
    cfg.model.pop('pretrained', None)
    if 'backbone' in cfg.model:
        cfg.model.backbone.init_cfg = None  # no download
    cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    cfg.model.data_preprocessor.pop('batch_augments', None)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(copy.deepcopy(cfg.model)).train()
    model.init_weights()
    model = revert_sync_batchnorm(model)
    with torch.no_grad():
        for module in model.modules():
            # Hosts start residual branches at zero, where their weights have no gradient. Replaced units have none.
            if isinstance(module, _BatchNorm) and module.weight is not None:
                module.weight.uniform_(0.5, 1.0)
            if hasattr(module, 'drop_prob'):
                module.drop_prob = 0.0
        for p in model.parameters():
            if not p.any():
                p.normal_(std=0.01)
    optimizer = SGD(model.parameters(), lr=1e6)  # one step: the smallest gradient is to show
    kept = {'type': 'OptimWrapper', **cfg.optim_wrapper, 'optimizer': optimizer}
    wrapper = OPTIM_WRAPPERS.build(
        {k: v for k, v in kept.items() if k not in ('paramwise_cfg', 'constructor', 'base_constructor')}
    )

    def make_batch(size):
        if cfg.default_scope == 'mmseg':
            model.data_preprocessor.size = (size, size)
        count = 4 if cfg.default_scope == 'mmpretrain' else 2
        return generated_batch(cfg.default_scope, (size, size), count, what_fits(cfg.model))

    return cfg, model, wrapper, make_batch


@pytest.fixture
def build_lively():
    """Build the model of a loaded config for one step on generated images."""
    name_installed_distributions()
    return build_from
