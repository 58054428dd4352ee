"""mmagic and mmyolo on an mmcv that is newer than they accept."""

import subprocess
import sys

import pytest
from mmengine.config import Config

from mmlocal.errors import ConfigError
from mmlocal.hosts import importing

HOSTS = ('mmagic', 'mmyolo')


@pytest.fixture
def imported(monkeypatch):
    found = []
    monkeypatch.setattr(importing, 'import_host', found.append)
    return found


@pytest.mark.parametrize(
    ('config', 'expected'),
    [
        (dict(default_scope='mmdet', model=dict(type='FasterRCNN')), []),
        (dict(default_scope='mmagic'), ['mmagic']),
        (dict(default_scope='mmdet', model=dict(backbone=dict(type='mmyolo.YOLOv8CSPDarknet'))), ['mmyolo']),
        (dict(model=dict(generator=dict(type='mmlocal.LocalBackbone', arch='mmagic.EDSRNet'))), ['mmagic']),
        (dict(model=[dict(_scope_='mmyolo'), dict(type='mmagic.BaseEditModel')]), ['mmagic', 'mmyolo']),
        (dict(work_dir='mmagic', note=dict(name='mmyolo.X')), []),
    ],
)
def test_only_what_a_config_asks_for_is_imported(config, expected, imported):
    importing.import_hosts(Config(config))
    assert imported == expected


@pytest.mark.parametrize('name', HOSTS)
def test_it_is_imported_and_leaves_no_trace(name):
    code = (
        'import sys, mmcv, numpy; before = mmcv.__version__, hasattr(numpy, "bool8")\n'
        f'from mmlocal.hosts import import_host; import_host({name!r})\n'
        'assert (mmcv.__version__, hasattr(numpy, "bool8")) == before\n'
        'from mmengine.registry import MODELS\n'
        f'assert MODELS.get({dict(mmagic="mmagic.EDSRNet", mmyolo="mmyolo.YOLOv8CSPDarknet")[name]!r})\n'
        f'print([host for host in {HOSTS} if host in sys.modules])'
    )
    output = subprocess.check_output([sys.executable, '-W', 'ignore', '-c', code], text=True, stderr=subprocess.DEVNULL)
    assert output.splitlines()[-1] == str([name])


def test_a_missing_host_is_told_with_the_way_to_install_it(monkeypatch):
    monkeypatch.delitem(sys.modules, 'mmagic', raising=False)
    monkeypatch.setattr(importing.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ConfigError, match=r'the config needs mmagic, which is not installed: pip install .*--no-deps'):
        importing.import_host('mmagic')


def test_what_a_host_lacks_is_told(monkeypatch):
    monkeypatch.delitem(sys.modules, 'mmagic', raising=False)

    def fails(name):
        raise ModuleNotFoundError("No module named 'diffusers'", name='diffusers')

    monkeypatch.setattr(importing.importlib, 'import_module', fails)
    with pytest.raises(
        ConfigError, match=r"mmagic, which imports 'diffusers', which is not installed: .*mmlocal\[sr\]"
    ):
        importing.import_host('mmagic')
