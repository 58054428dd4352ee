"""Evaluate a checkpoint by a config, local or not: `python tools/test.py CONFIG CHECKPOINT`."""

import argparse

from mmengine.evaluator import DumpResults
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmlocal.config import add_config_arguments, exit_with_message, load_config, validate
from mmlocal.errors import ConfigError


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint, of a run or published')
    parser.add_argument('--out', help='file for all predictions (.pkl)')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', help='folder for pictures of the predictions, below the run of this test')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a window stays')
    add_config_arguments(parser)
    return parser.parse_args()


def set_pictures(cfg, args):
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise ConfigError('--show and --show-dir: the config has no default_hooks.visualization')
    hook.update(draw=True, show=args.show, wait_time=args.wait_time)
    if args.show_dir:
        hook.test_out_dir = args.show_dir


def dump_results(path):
    """The host's own form where it has one: mmdet's encodes masks."""
    if not path.endswith(('.pkl', '.pickle')):
        raise ConfigError(f'--out {path!r} must end with .pkl or .pickle')
    return DumpResults(out_file_path=path)


@exit_with_message
def main():
    args = parse_args()
    cfg = load_config(args)
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.show or args.show_dir:
        set_pictures(cfg, args)
    dump = dump_results(args.out) if args.out else None
    validate(cfg, splits=('test',))
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    if dump is not None:
        runner.test_evaluator.metrics.append(dump)
    runner.test()


if __name__ == '__main__':
    main()
