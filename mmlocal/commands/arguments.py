"""What each command takes. Nothing here imports torch or a host, so that help comes at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmlocal.presets import method_names

__all__ = ['COMMANDS', 'Command', 'add_config_arguments']

_CONFIG = 'file, or one of a package: mmdet::retinanet/retinanet_r50_fpn_1x_coco.py, mmlocal::man/…'


@dataclass(frozen=True)
class Command:
    """A command of `mmlocal`.

    Args:
        module: its module in `mmlocal.commands`.
        help: a sentence.
        add_arguments: adds them to a parser.
    """

    module: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that every tool of the ecosystem has."""
    parser.add_argument('--work-dir', help='folder for logs and checkpoints; work_dirs/CONFIG if not given')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Options,
        help='settings of the config to override, as key=value; lists as key="[a,b]" or key=a,b',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # torch.distributed.launch passes --local-rank, older versions --local_rank.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


class _Options(argparse.Action):
    """`key=value` pairs, refused with a sentence where the host's own action has a traceback."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        # It takes a second to import, and is needed for this argument alone.
        from mmengine.config import DictAction

        action = DictAction(self.option_strings, self.dest)
        for pair in values or []:
            try:
                action(parser, namespace, [pair], option_string)
            except (AssertionError, ValueError) as error:
                why = 'has unbalanced brackets' if '=' in pair else 'is not key=value'
                raise argparse.ArgumentError(self, f'{pair!r} {why}') from error
            except RecursionError as error:  # what mmengine makes of braces
                why = 'is not read: give a dict key by key, as a.b=1 a.c=2'
                raise argparse.ArgumentError(self, f'{pair!r} {why}') from error


def _add_method(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--local', metavar='METHOD', help=f'train it by local learning: {", ".join(method_names())}')
    parser.add_argument('--blocks', type=int, default=4, help='blocks of --local (default: 4)')


def _train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=_CONFIG)
    _add_method(parser)
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


def _test(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=_CONFIG)
    parser.add_argument('checkpoint', help='checkpoint, of a run or published')
    parser.add_argument('--out', help='file for all predictions (.pkl)')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', help='folder for pictures, below the folder of this test')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a window stays')
    add_config_arguments(parser)


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=_CONFIG)
    _add_method(parser)
    parser.add_argument(
        '--shape', type=_positive, nargs=3, metavar=('C', 'H', 'W'), help="of the images (default: the config's)"
    )
    parser.add_argument('--batch', type=_positive, help="images in a batch (default: the config's)")
    parser.add_argument('--estimate', action='store_true', help='count from shapes, without running a kernel')
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--rounds', type=_positive, default=3, help='timed steps of each way')
    parser.add_argument('--out', type=_picture, help='file of the picture (default: memory.png in the work directory)')
    add_config_arguments(parser)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'must be a whole number above 0, got {text}')
    return int(text)


def _picture(text: str) -> str:
    if Path(text).suffix not in ('.png', '.pdf', '.svg'):
        raise argparse.ArgumentTypeError(f'{text!r} must end with .png, .pdf or .svg')
    return text


def _publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('in_file', help='checkpoint of a run')
    parser.add_argument('out_file', help='where to write, without the hash')
    parser.add_argument('--save-keys', nargs='+', default=['meta', 'state_dict'], help='keys to keep')


def _check_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=_CONFIG)
    parser.add_argument('--all', action='store_true', help='read every sample, not the first, middle and last one')
    add_config_arguments(parser)


def _infer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('checkpoint', help='checkpoint, of a run or published')
    parser.add_argument('images', nargs='+', help='files, or folders of them')
    parser.add_argument('--config', help='if the checkpoint does not hold it, or another one')
    parser.add_argument('--out-dir', default='work_dirs/infer', help='for the pictures (default: work_dirs/infer)')
    parser.add_argument('--device', default='cpu', help='cpu or cuda (default: cpu)')


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--strict', action='store_true', help='exit with 1 where a package is broken')


COMMANDS = {
    'train': Command('train', 'Train a model of a config, local or not.', _train),
    'test': Command('test', 'Evaluate a checkpoint by a config, local or not.', _test),
    'report': Command('report', 'What a training step needs, and what other ways to train would.', _report),
    'publish': Command('publish', 'Make a checkpoint ready for others: the stock network alone.', _publish),
    'infer': Command('infer', 'Draw what a trained model sees in images.', _infer),
    'check-data': Command('check_data', 'Check the data of a config, without training.', _check_data),
    'doctor': Command('doctor', 'Say what is installed, what is missing, and how to install it.', _doctor),
}
