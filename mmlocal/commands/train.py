"""Train a model of a config, local or not."""

from __future__ import annotations

import argparse
import os

from mmengine.config import Config

from mmlocal.cli import exit_with_message, prepare, read_config
from mmlocal.engine import InterruptHook, ProgressHook
from mmlocal.engine.distributed import end_together
from mmlocal.engine.resume import lock_work_dir, newest_checkpoint, trust_checkpoint
from mmlocal.errors import ConfigError, Faults
from mmlocal.running import train


def set_resume(cfg: Config, resume: str) -> str | None:
    """Write `--resume` into the config, and return the checkpoint that it means, of a run of the user's own.

    Where there is none yet, the run starts as without `--resume`.
    """
    if resume == 'auto' and os.path.isdir(cfg.work_dir):
        # A run that is in it may delete what is found.
        lock_work_dir(cfg.work_dir, cfg.get('launcher', 'none'))
    checkpoint = newest_checkpoint(cfg.work_dir) if resume == 'auto' else resume
    if checkpoint is not None:
        trust_checkpoint(checkpoint)
        cfg.resume, cfg.load_from = True, checkpoint
    return checkpoint


def set_auto_scale_lr(cfg: Config) -> None:
    """Turn on what scales the learning rate by the batch size.

    Raises:
        ConfigError: if the config does not say for which batch size it is.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise ConfigError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
    cfg.auto_scale_lr.enable = True


@exit_with_message
@end_together
def main(args: argparse.Namespace) -> None:
    """Read, complete and check a config, then train."""
    faults = Faults()
    cfg = read_config(args, faults)
    with faults.under():
        if args.auto_scale_lr:
            set_auto_scale_lr(cfg)
    resumed = None
    with faults.under():
        resumed = set_resume(cfg, args.resume) if args.resume else None
    with faults.under():
        cfg = prepare(cfg, ('train', 'val'), checkpoint=('--resume', resumed) if resumed else None)
    faults.report()
    interrupt = InterruptHook()
    try:
        train(cfg, args.launcher, [interrupt] if args.no_progress else [ProgressHook(), interrupt])
    finally:
        interrupt.give_back()
