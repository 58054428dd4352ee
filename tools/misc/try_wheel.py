"""Install a wheel into an environment without detection, and train a mini config there: `try_wheel.py dist/X.whl`.

The environment has the packages of this one, as links, but for mmlocal, the hosts that are not for classification, and
mmcv's compiled operations. Training runs in a folder that is no checkout.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

HIDDEN = ('mmlocal', '__editable__', 'mmdet', 'mmseg', 'mmagic', 'mmyolo', 'onedl_mmdetection', 'onedl_mmsegmentation')
MINI = ('digits', '--train', '40', '--val', '8', '--size', '64')
OPTIONS = ('train_cfg.max_epochs=1', 'train_dataloader.batch_size=8')
TRAIN = ('train', 'mmlocal::e2e/resnet32_mini-digits.py', '--local', 'man', '--cfg-options', *OPTIONS)


def link_packages(here, there):
    """Link what is installed here, a package at a time; of mmcv all but the compiled operations."""
    for path in Path(here).iterdir():
        if path.name.startswith(HIDDEN) or path.suffix == '.pth' or (there / path.name).exists():
            continue
        if path.name != 'mmcv':
            (there / path.name).symlink_to(path)
            continue
        (there / 'mmcv').mkdir()
        for part in path.iterdir():
            if not part.name.startswith('_ext'):
                (there / 'mmcv' / part.name).symlink_to(part)


def make_environment(folder, wheel):
    """Make an environment in `folder` with the wheel installed, and return its folder of packages."""
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path('purelib', vars={'base': str(folder)}))
    link_packages(sysconfig.get_path('purelib'), packages)
    pip = [sys.executable, '-m', 'pip', '--python', str(folder / 'bin' / 'python')]
    subprocess.run([*pip, 'install', '--quiet', '--no-deps', '--no-index', str(wheel)], check=True)
    return packages


def call(folder, *command, cwd, **given):
    """Run a program of the environment in `folder`."""
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    program = str(folder / 'bin' / command[0])
    return subprocess.run([program, *map(str, command[1:])], cwd=cwd, env={**env, 'OMP_NUM_THREADS': '1'}, **given)


def train(folder, packages, cwd, **given):
    """Make a mini set by the installed tool, and train on it."""
    converter = packages / 'mmlocal' / '.mim' / 'tools' / 'dataset_converters' / 'make_mini_dataset.py'
    call(folder, 'python', converter, *MINI, cwd=cwd, check=True, **given)
    return call(folder, 'mmlocal', *TRAIN, cwd=cwd, check=True, **given)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('wheel', type=Path)
    wheel = parser.parse_args().wheel.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder, cwd = Path(temporary, 'environment'), Path(temporary, 'elsewhere')
        cwd.mkdir()
        packages = make_environment(folder, wheel)
        train(folder, packages, cwd)
        if not list(cwd.glob('work_dirs/*/epoch_1.pth')):
            sys.exit(f'{wheel} was installed and has trained, but left no checkpoint')
    print(f'{wheel.name} was installed elsewhere and has trained there')


if __name__ == '__main__':
    main()
