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
    _run(parser.parse_args(argv))


def script(name: str) -> Callable[[], None]:
    """The `main` of the script in `tools` that is the command `name`: it reads `sys.argv`."""

    def start() -> None:
        command = COMMANDS[name]
        parser = argparse.ArgumentParser(description=command.help)
        parser.set_defaults(command=name)
        command.add_arguments(parser)
        _run(parser.parse_args(sys.argv[1:]))

    return start


def _run(args: argparse.Namespace) -> None:
    importlib.import_module(f'mmlocal.commands.{COMMANDS[args.command].module}').main(args)
