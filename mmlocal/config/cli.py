"""What the command line tools share: reading a config, and ending with one message instead of a traceback."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config, DictAction

from mmlocal.config.localize import localize
from mmlocal.errors import ConfigError

__all__ = ['add_config_arguments', 'exit_with_message', 'load_config', 'use_amp']


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that every tool of the ecosystem has."""
    parser.add_argument('--work-dir', help='folder for logs and checkpoints; work_dirs/CONFIG if not given')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings of the config to override, as key=value; lists as key="[a,b]" or key=a,b',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # torch.distributed.launch passes --local-rank, older versions --local_rank.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def load_config(args: argparse.Namespace) -> Config:
    """The config of a tool's arguments, its silent parts of local learning filled in.

    Raises:
        ConfigError: if the file is not there or not a config, or local learning does not fit.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if '::' not in args.config and not Path(args.config).is_file():
        raise ConfigError(f'config {args.config!r} does not exist (looked for {Path(args.config).absolute()})')
    try:
        cfg = Config.fromfile(args.config)
    except (SyntaxError, FileNotFoundError, KeyError) as error:
        raise ConfigError(f'config {args.config!r} cannot be read: {error}') from error
    cfg.launcher = args.launcher
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    if args.work_dir:
        cfg.work_dir = args.work_dir
    elif not cfg.get('work_dir'):
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    if getattr(args, 'amp', False):
        use_amp(cfg)
    return localize(cfg)


def use_amp(cfg: Config) -> None:
    """Turn on mixed precision as the ecosystem's `--amp` does.

    Raises:
        ConfigError: without a GPU.
    """
    if not torch.cuda.is_available():
        raise ConfigError('--amp needs a GPU, and torch sees none here')
    local = str(cfg.optim_wrapper.get('type', 'OptimWrapper')).startswith('mmlocal.')
    cfg.optim_wrapper.type = 'mmlocal.BlockwiseAmpOptimWrapper' if local else 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def exit_with_message(main: Callable[[], None]) -> Callable[[], None]:
    """Let `main` end with every fault in a line of its own and exit code 2 on a `ConfigError`."""

    @functools.wraps(main)
    def guarded() -> None:
        try:
            main()
        except ConfigError as error:
            for fault in error.faults:
                print(f'error: {fault}', file=sys.stderr)
            sys.exit(2)

    return guarded
