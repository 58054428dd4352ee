"""What pip installs: built once, as a release is, from the source distribution."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ('mmlocal', 'configs', 'tools', 'requirements')
FILES = ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'MANIFEST.in', 'CITATION.cff', 'model-index.yml')

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('wheel')]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel of a copy of the repository, so that nothing of the build is left in it."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    for name in PARTS:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns('__pycache__'))
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    quiet = dict(check=True, capture_output=True)
    build = f'from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})'
    subprocess.run([sys.executable, '-c', build], cwd=source, **quiet)
    (sdist,) = folder.glob('*.tar.gz')
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter='data')
    pip = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation', '--wheel-dir', folder]
    subprocess.run([*pip, folder / sdist.name.removesuffix('.tar.gz')], **quiet)
    (found,) = folder.glob('*.whl')
    return found


@pytest.fixture(scope='module')
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith('.dist-info/METADATA')]
        return message_from_string(archive.read(name).decode())


@pytest.fixture(scope='module')
def installed(wheel, tool, tmp_path_factory):
    """Call a program of an environment that has classification alone, in a folder that is no checkout."""
    folder, cwd = tmp_path_factory.mktemp('environment'), tmp_path_factory.mktemp('elsewhere')
    tries = tool('misc/try_wheel')
    packages = tries.make_environment(folder, wheel)
    quiet = dict(text=True, capture_output=True)

    def call(*command):
        return tries.call(folder, *command, cwd=cwd, **quiet)

    call.train = lambda: tries.train(folder, packages, cwd, **quiet)
    call.cwd = cwd
    return call


def test_all_configs_presets_and_tools_are_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    named = {f'mmlocal/.mim/{path.relative_to(ROOT)}' for path in (ROOT / 'configs').rglob('*') if path.is_file()}
    presets = {path.name for path in (ROOT / 'mmlocal' / 'config' / 'presets').glob('*.py')}
    folders = ('mmlocal/config/presets', 'mmlocal/.mim/configs/_base_/local')
    named |= {f'{folder}/{name}' for folder in folders for name in presets}
    named |= {f'mmlocal/.mim/{name}' for name in ('model-index.yml', 'tools/train.py', 'tools/test.py')}
    assert {name for name in named if '__pycache__' not in name} <= held
    tops = {name.split('/')[0] for name in held}
    assert tops == {'mmlocal', f'{wheel.name.split("-py3")[0]}.dist-info'}
    assert not [name for name in held if '/benchmarks/' in name and '.mim' in name]


def test_what_it_asks_for(metadata):
    asked = [line.split(';')[0] for line in metadata.get_all('Requires-Dist') if 'extra' not in line]
    names = {re.split('[<>=]', line)[0] for line in asked}
    assert names == {'numpy', 'onedl-mmengine', 'pillow', 'pyyaml', 'rich', 'torch'}
    assert 'torch>=2.7' in asked
    assert set(metadata.get_all('Provides-Extra')) == {'all', 'cls', 'det', 'dev', 'seg', 'sr', 'yolo'}
    pinned = [line for line in metadata.get_all('Requires-Dist') if 'transformers' in line]
    assert {re.search(r'extra == .(\w+).', line)[1] for line in pinned} == {'all', 'sr'}


def test_its_page_has_no_link_into_the_repository(metadata):
    assert '# mmlocal' in metadata.get_payload()
    targets = re.findall(r'\]\(([^)]*)\)', metadata.get_payload())
    assert [target for target in targets if not target.startswith(('http', '#'))] == []


def test_a_config_of_it_trains_by_a_method_without_mmcvs_operations(installed):
    result = installed.train()
    assert ' in 4 blocks; each block learns from its own loss' in result.stdout + result.stderr
    assert list(installed.cwd.glob('work_dirs/resnet32_mini-digits/epoch_1.pth'))


@pytest.mark.parametrize('config', ['mmlocal::man/faster_rcnn_r18_man_mini-coco.py', 'mmdet::fcos/any.py'])
def test_detection_is_refused_with_the_line_that_installs_it(installed, config):
    result = installed('mmlocal', 'train', config)
    assert result.returncode == 2
    (error,) = [line for line in result.stderr.splitlines() if line.startswith('error: ')]
    assert 'mmdet' in error
    assert error.endswith("is not installed: pip install 'mmlocal[det]'")


def test_the_doctor_says_what_is_missing(installed):
    result = installed('mmlocal', 'doctor')
    lines = result.stdout.splitlines()
    found = {row[1].strip(): row[2].strip() for row in (line.split('│') for line in lines) if len(row) > 2}
    assert found['operations of mmcv'] == found['mmdet, for detection'] == 'missing'
    assert found['mmpretrain, for classification'].endswith('(onedl-mmpretrain)')
    assert "mmdet, for detection: pip install 'mmlocal[det]'" in lines
    assert [line for line in lines if line.startswith('operations of mmcv: pip install --no-build-isolation')]
    assert not [line for line in lines if line.startswith('mmpretrain, ')]


@pytest.mark.parametrize('command', [['--help'], *([name, '--help'] for name in ('train', 'check-data', 'doctor'))])
def test_help_imports_neither_torch_nor_mmengine(command):
    code = (
        'import sys\nfrom mmlocal.commands import main\n'
        f'try:\n    main({command!r})\n'
        'except SystemExit:\n    print(sorted({"torch", "mmengine", "rich"} & set(sys.modules)))'
    )
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    assert subprocess.check_output([sys.executable, '-c', code], text=True, env=env).splitlines()[-1] == '[]'
