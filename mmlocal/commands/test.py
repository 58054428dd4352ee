"""Evaluate a checkpoint by a config, local or not."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.evaluator import DumpResults
from mmengine.registry import METRICS, RUNNERS
from mmengine.runner import Runner

from mmlocal.cli import exit_with_message, prepare, read_config
from mmlocal.engine.distributed import compare_data, compare_settings, end_together, join_processes
from mmlocal.errors import ConfigError, Faults
from mmlocal.validation.data import check_loops
from mmlocal.validation.telling import telling


def set_pictures(cfg: Config, args: argparse.Namespace) -> None:
    """Let the hook that draws do so.

    Raises:
        ConfigError: if there is none.
    """
    hook = (cfg.get('default_hooks') or {}).get('visualization')
    if hook is None:
        raise ConfigError('--show and --show-dir: the config has no default_hooks.visualization')
    hook.update(draw=True, show=args.show, wait_time=args.wait_time)
    if args.show_dir:
        hook.test_out_dir = args.show_dir


def check_out(path: str) -> None:
    """Look at `--out` before the test and not after it.

    Raises:
        ConfigError: if predictions cannot be written there.
    """
    if not path.endswith(('.pkl', '.pickle')):
        raise ConfigError(f'--out {path!r} must end with .pkl or .pickle')
    folder = next(parent for parent in Path(path).absolute().parents if parent.exists())
    if Path(path).is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f'--out {path!r} cannot be written')


def dump_results(path: str) -> Any:
    """The host's own form where it has one: mmdet's encodes masks. For a runner's scope, once it is built."""
    with METRICS.switch_scope_and_registry(None) as registry:
        return (registry.get('DumpDetResults') or DumpResults)(out_file_path=path)


@exit_with_message
@end_together
def main(args: argparse.Namespace) -> None:
    """Read, complete and check a config, then test."""
    faults = Faults()
    cfg = read_config(args, faults)
    cfg.load_from, cfg.resume = args.checkpoint, False
    with faults.under():
        if args.show or args.show_dir:
            set_pictures(cfg, args)
    with faults.under():
        if args.out:
            check_out(args.out)
    with faults.under():
        cfg = prepare(cfg, splits=['test'], checkpoint=('checkpoint', args.checkpoint))
    faults.report()
    compare_settings(cfg, ['test'])
    join_processes(args.launcher, (cfg.get('env_cfg') or {}).get('dist_cfg'))
    with telling(cfg, 'the run cannot be set up'):
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        compare_data(runner, check_loops(runner, ['test']))
    if args.out:
        runner.test_evaluator.metrics.append(dump_results(args.out))
    with telling(cfg, 'the test fails', runner.model):
        runner.test()
