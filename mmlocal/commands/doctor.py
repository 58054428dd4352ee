"""What is installed, what is missing, and how to install it."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import platform
import sys
from importlib import metadata

from rich.console import Console
from rich.table import Table

from mmlocal.errors import ConfigError, reason
from mmlocal.hosts import HOSTS, import_host
from mmlocal.hosts.operations import COMPILE, has_operations, operations
from mmlocal.version import __version__

__all__ = ['main']


def version_of(module: str) -> str | None:
    """Version of the distribution that a module comes from, with its name where that is another; none if missing."""
    if importlib.util.find_spec(module) is None:
        return None
    for name in metadata.packages_distributions().get(module, ()):
        return metadata.version(name) + ('' if name == module else f' ({name})')
    return 'of no distribution'


def fault_of(host: str) -> str:
    """Why an installed host cannot be used, or nothing."""
    if HOSTS[host].needs_operations and not has_operations():
        return 'needs the operations of mmcv'
    try:
        import_host(host)
        importlib.import_module(f'{host}.models')
    except ConfigError as error:
        return str(error)
    except Exception as error:  # whatever a broken package raises
        return reason(error)
    return ''


def devices() -> str:
    """What torch trains on here."""
    torch = importlib.import_module('torch')
    if not torch.cuda.is_available():
        return 'CPU alone: torch sees no GPU'
    return ', '.join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def packages() -> tuple[list[tuple[str, str, str]], int]:
    """Rows of the table: what, found, what to do; and how many packages are installed but broken."""
    rows = [('mmlocal', __version__, ''), ('Python', platform.python_version(), '')]
    for name, pip in _BASE:
        version = version_of(name)
        rows.append((name, version or 'missing', '' if version else f'pip install {pip}'))
    rows.append(('devices', devices() if version_of('torch') else 'unknown', ''))
    found = len(operations())
    rows.append(('operations of mmcv', str(found) if found else 'missing', '' if found else COMPILE))
    broken = 0
    for name, host in HOSTS.items():
        version = version_of(name)
        fault = fault_of(name) if version else ''
        broken += bool(fault)
        state = 'missing' if version is None else f'{version}: {fault}' if fault else version
        advice = COMPILE if fault.startswith('needs the operations') else host.install if fault or not version else ''
        rows.append((f'{name}, for {host.purpose}', state, advice))
    return rows, broken


_BASE = (('torch', 'torch'), ('torchvision', 'torchvision'), ('mmengine', 'onedl-mmengine'), ('mmcv', 'onedl-mmcv'))


def main(args: argparse.Namespace) -> None:
    """Show the table."""
    rows, broken = packages()
    table = Table('', 'found')
    for name, found, _ in rows:
        table.add_row(name, found)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(table)
    # Below the table, as its cells would break the lines that are there to be copied.
    for name, _, advice in rows:
        if advice:
            console.print(f'{name}: {advice}')
    if args.strict and broken:
        sys.exit(1)
