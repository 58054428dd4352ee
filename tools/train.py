"""Train a model of a config, local or not: `python tools/train.py CONFIG`."""

import argparse
import os

from mmlocal.cli import add_config_arguments, exit_with_message, prepare, read_config
from mmlocal.config import method_names
from mmlocal.engine import ProgressHook
from mmlocal.engine.distributed import end_together
from mmlocal.engine.resume import lock_work_dir, newest_checkpoint, trust_checkpoint
from mmlocal.errors import ConfigError, Faults
from mmlocal.running import train


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='file, or one of a host: mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
    parser.add_argument('--local', metavar='METHOD', help=f'train it by local learning: {", ".join(method_names())}')
    parser.add_argument('--blocks', type=int, default=4, help='blocks of --local (default: 4)')
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument('--auto-scale-lr', action='store_true', help='learning rate by the batch size')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='checkpoint to resume from; without a value, the latest one in the work directory',
    )
    parser.add_argument('--no-progress', action='store_true', help='no bar; there is none where no terminal is')
    add_config_arguments(parser)
    return parser.parse_args()


def set_resume(cfg, resume):
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


def set_auto_scale_lr(cfg):
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise ConfigError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
    cfg.auto_scale_lr.enable = True


@exit_with_message
@end_together
def main():
    args = parse_args()
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
    train(cfg, args.launcher, [] if args.no_progress else [ProgressHook()])


if __name__ == '__main__':
    main()
