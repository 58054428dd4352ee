"""A training from its prepared config on: what `tools/train.py` does, and whoever trains as it does."""

from __future__ import annotations

from collections.abc import Iterable

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmlocal.cli import check_work_dir
from mmlocal.config.complete import save_safely
from mmlocal.engine.distributed import compare_data, compare_settings, join_processes
from mmlocal.engine.resume import lock_work_dir
from mmlocal.validation.data import check_loops
from mmlocal.validation.first_times import FirstTimes
from mmlocal.validation.telling import telling

__all__ = ['train']


def train(cfg: Config, launcher: str = 'none', hooks: Iterable[Hook] = ()) -> None:
    """Build the runner of a prepared config, look at its data, and train.

    Args:
        cfg: as `mmlocal.cli.prepare` gives it.
        launcher: that has started this process and others.
        hooks: beside those of the config.

    Raises:
        ConfigError: for whatever of the config or its data the run cannot go on with.
    """
    with telling(cfg, 'the run cannot be set up'):
        compare_settings(cfg, ['train', 'val'])
        join_processes(launcher, (cfg.get('env_cfg') or {}).get('dist_cfg'))
        check_work_dir(cfg.work_dir)
        lock_work_dir(cfg.work_dir, launcher)
        save_safely(cfg)
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        first = FirstTimes()
        for hook in (*hooks, first):
            runner.register_hook(hook)
        # Not before there is a runner: it builds the datasets, once, and the check adds what a few samples cost.
        compare_data(runner, check_loops(runner, ['train', 'val']))
    with first.telling(runner):
        runner.train()
