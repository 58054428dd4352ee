"""A checkpoint of others runs no code, whichever tool reads it and however it is named."""

import os

import pytest
import torch
from mmengine.logging import HistoryBuffer

FAULT = (
    'holds more than weights: a builtins.getattr, and reading that can run code of its maker. '
    'If you trust the file, set TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1'
)


class Calls:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.fixture
def evil(tmp_path, local_run):
    """A whole checkpoint with a call in it, of what mmengine allows, and what is said of it."""
    checkpoint = torch.load(local_run.checkpoint, weights_only=False)
    checkpoint['extra'] = [
        Calls(getattr, Calls(getattr, HistoryBuffer, 'mean'), '__globals__'),
        Calls(os.mkdir, str(tmp_path / 'ran')),
    ]
    torch.save(checkpoint, tmp_path / 'evil.pth')
    path = str(tmp_path / 'evil.pth')
    yield path, f'{path!r} {FAULT}'
    assert not (tmp_path / 'ran').exists()


def test_weights_to_start_from(evil, call, local_config, tmp_path):
    found = call('train', local_config, '--work-dir', tmp_path / 'work', '--cfg-options', f'load_from={evil[0]}')
    assert (found.code, found.errors) == (2, [f'error: load_from = {evil[1]}'])


def test_weights_of_a_part_where_there_is_nothing_to_resume(evil, call, local_config, tmp_path):
    options = [f'model.roi_head.init_cfg.checkpoint={evil[0]}', 'model.roi_head.init_cfg.type=Pretrained']
    found = call('train', local_config, '--work-dir', tmp_path / 'work', '--resume', '--cfg-options', *options)
    assert (found.code, found.errors) == (2, [f'error: checkpoint {evil[1]}'])


def test_weights_to_test(evil, call, local_config, tmp_path):
    found = call('test', local_config, evil[0], '--work-dir', tmp_path / 'work')
    assert (found.code, found.errors) == (2, [f'error: checkpoint = {evil[1]}'])


def test_weights_to_publish(evil, call, tmp_path):
    found = call('model_converters/publish_model', evil[0], tmp_path / 'out.pth')
    assert (found.code, found.errors) == (2, [f'error: in_file = {evil[1]}'])


def test_a_config_of_values_makes_no_objects(call, tmp_path):
    path = tmp_path / 'config.yml'
    path.write_text(f'model: !!python/object/apply:os.mkdir ["{tmp_path}/ran"]')
    found = call('train', path)
    assert (found.code, len(found.errors)) == (2, 1)
    assert 'could not determine a constructor for the tag' in found.errors[0]
    assert not (tmp_path / 'ran').exists()
