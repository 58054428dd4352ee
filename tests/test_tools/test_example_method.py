"""The example of a method, copied out of the repository and trained there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = 'resnet32_conv_mini-digits.py'
QUICK = [
    'train_cfg.max_epochs=1',
    'train_dataloader.batch_size=8',
    'train_dataloader.dataset.indices=16',
    'val_dataloader.dataset.indices=10',
    'default_hooks.logger.interval=1',
]


@pytest.mark.integration
def test_trains_from_another_folder(tmp_path, make_mini):
    folder = shutil.copytree(ROOT / 'projects' / 'example_method', tmp_path / 'my_method')
    config = folder / NAME
    config.write_text(config.read_text().replace('../../configs', str(ROOT / 'configs')))
    data = f'data_root={make_mini("digits", 16)}'
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), NAME, '--work-dir', 'out', '--cfg-options', *QUICK]
    command += [f'{split}_dataloader.dataset.{data}' for split in ('train', 'val')]
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get('PYTHONPATH')]))
    env = {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    log = next((folder / 'out').glob('*/*.log')).read_text()
    assert 'convolution to 32' in log
    assert 'block1.loss' in log
    assert (folder / 'out' / 'epoch_1.pth').is_file()
