"""Reading files of others, and who writes checkpoints by default."""

import os

import pytest
import torch
from mmengine.config import Config

from mmlocal.cli import exit_with_message
from mmlocal.config.complete import save_safely
from mmlocal.engine.resume import trust_checkpoint
from mmlocal.engine.resume.checkpoint_files import check_checkpoint
from mmlocal.engine.resume.reading import weights_only
from mmlocal.errors import ConfigError

TRUST = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


class Evil:
    """What runs when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def evil(tmp_path):
    torch.save(dict(state_dict={}, meta=Evil(tmp_path / 'ran')), tmp_path / 'evil.pth')
    return tmp_path / 'evil.pth'


class TestWeightsOnly:
    def test_code_in_a_file_of_others_does_not_run(self, evil, tmp_path):
        with weights_only(), pytest.raises(ConfigError) as error:
            check_checkpoint(str(evil))
        assert not (tmp_path / 'ran').exists()
        assert str(error.value) == (
            f" = '{evil}' holds more than weights: a posix.mkdir, and reading that can run code of its maker. "
            f'If you trust the file, set {TRUST}=1'
        )

    def test_nor_in_what_asks_for_everything(self, evil, tmp_path):
        with weights_only(), pytest.raises(ConfigError, match=r'a posix\.mkdir,'):
            torch.load(evil, weights_only=False)
        assert not (tmp_path / 'ran').exists()

    def test_a_user_who_trusts_a_file_reads_it(self, evil, tmp_path, monkeypatch):
        monkeypatch.setenv(TRUST, '1')
        with weights_only():
            check_checkpoint(str(evil))
        assert (tmp_path / 'ran').exists()

    def test_a_run_of_ones_own_is_read_whole(self, evil, tmp_path):
        with weights_only():
            trust_checkpoint(str(evil))
            check_checkpoint(str(evil))
        assert (tmp_path / 'ran').exists()

    def test_all_tools_read_so_and_leave_no_trace(self, evil):
        @exit_with_message
        def main():
            check_checkpoint(str(evil))

        with pytest.raises(SystemExit) as error:
            main()
        assert error.value.code == 2
        assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


class TestSaveSafely:
    @pytest.mark.parametrize(
        ('given', 'found'),
        [
            ({}, dict(type='mmlocal.SafeCheckpointHook', interval=1)),
            (dict(default_hooks=None), dict(type='mmlocal.SafeCheckpointHook', interval=1)),
            (
                dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=3))),
                dict(type='mmlocal.SafeCheckpointHook', interval=3),
            ),
            (dict(default_hooks=dict(checkpoint=None)), None),
            (dict(default_hooks=dict(checkpoint=dict(type='Mine'))), dict(type='Mine')),
        ],
        ids=['silent', 'none', 'stock', 'off', 'own'],
    )
    def test_stands_where_the_stock_hook_would(self, given, found):
        cfg = Config(given)
        for _ in range(2):
            save_safely(cfg)
            assert cfg.default_hooks.checkpoint == found
