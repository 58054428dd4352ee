"""The command line: `mmlocal COMMAND`, and the scripts in `tools` that are the same functions.

Each command is a module with a function `main` of parsed arguments. It is imported when its arguments have been
read, since what it imports takes seconds; so help and slips of the command line come at once.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

from mmlocal.commands.arguments import COMMANDS
from mmlocal.version import __version__

__all__ = ['main', 'script']


def main(argv: Sequence[str] | None = None) -> None:
    """The console command `mmlocal`."""
    parser = argparse.ArgumentParser(
        prog='mmlocal', description='Supervised local learning for OpenMMLab: networks trained block by block.'
    )
    parser.add_argument('--version', action='version', version=__version__)
    parsers = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, command in COMMANDS.items():
        command.add_arguments(parsers.add_parser(name, help=command.help, description=command.help))
    _run(_parsed(parser, sys.argv[1:] if argv is None else argv))


def script(name: str) -> Callable[[], None]:
    """The `main` of the script in `tools` that is the command `name`: it reads `sys.argv`."""

    def start() -> None:
        command = COMMANDS[name]
        parser = argparse.ArgumentParser(description=command.help)
        parser.set_defaults(command=name)
        command.add_arguments(parser)
        _run(_parsed(parser, sys.argv[1:]))

    return start


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    try:
        return parser.parse_args(arguments)
    except SystemExit as ended:
        # The other processes of a run wait for this one.
        if ended.code and any(argument.startswith('--launcher') for argument in arguments):
            _end_with_others(ended)
        raise


def _end_with_others(ended: SystemExit) -> None:
    def end() -> None:
        raise ended

    importlib.import_module('mmlocal.engine.distributed').end_together(end)()


def _run(args: argparse.Namespace) -> None:
    importlib.import_module(f'mmlocal.commands.{COMMANDS[args.command].module}').main(args)
