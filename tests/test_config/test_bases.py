"""What a config inherits: circles, imports that a leaf loses, and types that are imported."""

import sys
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from mmlocal.cli import prepare, read_config
from mmlocal.config import localize, lost_imports, name_types
from mmlocal.errors import ConfigError

LAZY = """
from mmengine.config import read_base
with read_base():
    from .runtime import *
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop
from mmpretrain.models import ClsDataPreprocessor, GlobalAveragePooling, ImageClassifier, LinearClsHead, ResNet
from mmpretrain.models.losses import CrossEntropyLoss
from torch.nn import Tanh
from torch.optim import SGD
model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(type=ClsDataPreprocessor, num_classes=3),
    backbone=dict(type=ResNet, depth=18, base_channels=8, num_stages=4, out_indices=(3,)),
    neck=dict(type=GlobalAveragePooling),
    head=dict(type=LinearClsHead, num_classes=3, in_channels=64, loss=dict(type=CrossEntropyLoss)),
)
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=1)
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.1))
other = dict(act_cfg=dict(type=Tanh))
"""
RUNTIME = """
from mmengine.hooks import CheckpointHook
default_hooks = dict(checkpoint=dict(type=CheckpointHook, interval=1))
"""


@pytest.fixture
def write(tmp_path):
    def write(**files):
        for name, text in files.items():
            (tmp_path / f'{name}.py').write_text(text)
        return str(tmp_path / f'{next(iter(files))}.py')

    return write


def read(path, **arguments):
    given = dict(config=path, cfg_options=None, work_dir='work', launcher='none', local_rank=0) | arguments
    return read_config(SimpleNamespace(**given))


@pytest.mark.parametrize(
    'second',
    ["_base_ = './third.py'", 'from mmengine.config import read_base\nwith read_base():\n    from .third import *'],
)
def test_circle_is_told_with_its_way(write, second):
    path = write(first="_base_ = ['./second.py']", second=second, third="_base_ = './second.py'\nx = 1")
    with pytest.raises(ConfigError, match=r'inherits itself: second\.py -> third\.py -> second\.py\. Take one'):
        read(path)


def test_what_two_configs_inherit_is_no_circle(write):
    path = write(
        leaf="_base_ = ['./a.py', './b.py']", a="_base_ = './c.py'", b="_base_ = './d.py'", c='x = 1', d='y = 2'
    )
    assert read(path).x == 1


def test_imports_that_a_leaf_has_replaced(write, monkeypatch):
    monkeypatch.delitem(sys.modules, 'theirs', raising=False)
    base = "custom_imports = dict(imports=['theirs', 'os'], allow_failed_imports=True)\n"
    base += "model = dict(type='mmlocal.Thiers')\n"
    path = write(leaf="_base_ = './base.py'\ncustom_imports = dict(imports=['json'])", base=base)
    sentence = (
        "custom_imports.imports = ['json'] has replaced what base.py imports: theirs, which may have the names that "
        "are not known. Give all of them: custom_imports = dict(imports=['theirs', 'json'])"
    )
    cfg = read(path)
    assert lost_imports(path, cfg) == sentence
    with pytest.raises(ConfigError) as error:
        prepare(cfg, ())
    assert error.value.faults[-1] == sentence
    (unknown,) = [fault for fault in error.value.faults if 'Thiers' in fault]
    assert 'Did you mean' not in unknown
    cfg.custom_imports.imports.append('theirs')
    assert lost_imports(path, cfg) == ''


def test_imported_types_are_named_as_registries_know_them(write):
    named = read(write(leaf=LAZY, runtime=RUNTIME))
    assert named.model.type == 'mmpretrain.ImageClassifier'
    assert named.optim_wrapper == dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
    assert named.default_hooks.checkpoint.type == 'CheckpointHook'
    assert named.other.act_cfg.type == 'Tanh'
    assert named.default_scope == 'mmpretrain'
    assert 'ResNet' not in named
    assert Config.fromstring(named.pretty_text, '.py').model == named.model


def test_config_with_imported_types_is_made_local(write):
    cfg = localize(read(write(leaf=LAZY, runtime=RUNTIME), local='dgl', blocks=4))
    assert cfg.model.backbone.auxiliary.head.type == 'mmlocal.DGLHead'
    assert cfg.optim_wrapper.type == 'mmlocal.BlockwiseOptimWrapper'
    assert cfg.train_cfg.type == 'mmlocal.ResumableEpochLoop'
    assert cfg.default_hooks.checkpoint.type == 'mmlocal.SafeCheckpointHook'


def test_config_in_the_style_of_texts_stays_as_it_is(write):
    cfg = Config.fromfile(write(leaf='x = 1'))
    assert name_types(cfg) is cfg
