"""What the command line tools share: reading a config, and ending with one message instead of a traceback."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from mmlocal.config import (
    check_bases,
    find_backbone,
    imported_packages,
    keys_read,
    leaf_text,
    lost_imports,
    make_local,
    name_types,
)
from mmlocal.engine.resume.reading import weights_only
from mmlocal.engine.resume.work_dir_lock import unlock_work_dirs
from mmlocal.errors import ConfigError, Faults, NonFiniteLossError, is_of_disk, nearest, reason, similar
from mmlocal.hosts import HOSTS, import_hosts, import_named, name_installed_distributions
from mmlocal.planning import plan
from mmlocal.validation import validate
from mmlocal.validation.telling import telling

__all__ = [
    'check_work_dir',
    'exit_with_message',
    'find_config',
    'load_config',
    'prepare',
    'read_config',
    'use_amp',
]

# What is said of a type that no registry knows.
_UNKNOWN = re.compile(r"(.*\b(?:type|arch|constructor) = '[^']*' is no .*?)( Did you mean .*)?$")


def load_config(
    args: argparse.Namespace, splits: Iterable[str] = (), checkpoint: tuple[str, str] | None = None
) -> Config:
    """The config of a tool's arguments, ready to be built: `read_config`, then `prepare`.

    Raises:
        ConfigError: with all that was found.
    """
    return prepare(read_config(args), splits, checkpoint)


def prepare(cfg: Config, splits: Iterable[str], checkpoint: tuple[str, str] | None = None) -> Config:
    """Complete a config that was read, check it, and plan its cuts where these depend on what the whole model costs.

    Args:
        cfg: any config.
        splits: `train`, `val`, `test`: those that will be used.
        checkpoint: what the user calls the checkpoint of a run that goes on or is tested, and its path.

    Raises:
        ConfigError: with all that was found.
    """
    with _explaining(cfg), telling(cfg, 'the config cannot be checked'):
        cfg = validate(cfg, splits, checkpoint)
    found, faults = find_backbone(cfg), Faults()
    with faults.checking(f'{found[0]}.partition' if found else 'model'):
        cfg = plan(cfg, checkpoint[1] if checkpoint else None)
    faults.report()
    return cfg


@contextmanager
def _explaining(cfg: Config) -> Iterator[None]:
    """Where a name is not known, say of which modules the import was lost; they may define it."""
    try:
        yield
    except ConfigError as error:
        lost = lost_imports(cfg.filename, cfg) if cfg.filename and any(map(_UNKNOWN.match, error.faults)) else ''
        if not lost:
            raise
        # The nearest of the names that are known is hardly what is meant.
        raise ConfigError(*(_UNKNOWN.sub(r'\1', fault) for fault in error.faults), lost) from error


def read_config(args: argparse.Namespace, faults: Faults | None = None) -> Config:
    """The config of a tool's arguments: the file, `--local`, what the command line overrides, the work directory.

    Args:
        args: of the command line.
        faults: collects what is wrong with the command line, for it to be told with what is wrong with the config.

    Raises:
        ConfigError: if the file is not there or not a config, or a host is missing; without `faults`, if an
            override does not fit, too.
    """
    told = faults if faults is not None else Faults()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    path = find_config(args.config)
    name_installed_distributions()
    try:
        if '::' not in args.config:
            check_bases(path)
            import_named(imported_packages(path))
        cfg = name_types(Config.fromfile(path))
    except ConfigError:
        raise
    except Exception as error:  # configs are code: theirs may raise anything
        raise ConfigError(f'config {args.config!r} cannot be read: {_reason(error)}') from error
    if getattr(args, 'local', None):
        cfg = make_local(cfg, args.local, args.blocks, dict(type='Balanced', otherwise='Even'))
        leaf = leaf_text(args.config, cfg, args.local)
        sys.stdout.write(f'To keep this, write it into a file of your own:\n\n{leaf}\n')
    with told.under():
        _override(cfg, args.cfg_options or {})
    cfg.launcher = args.launcher
    if args.work_dir:
        cfg.work_dir = args.work_dir
    elif not cfg.get('work_dir'):
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    if getattr(args, 'amp', False):
        use_amp(cfg)
    import_hosts(cfg)
    if faults is None:
        told.report()
    return cfg


def _reason(error: Exception) -> str:
    """Why a config cannot be read; of a base in a package that is missing, with what installs it."""
    for module, distribution in MODULE2PACKAGE.items():
        if isinstance(error, ModuleNotFoundError) and str(error).startswith(f'{distribution} is not installed'):
            return f'{module} is not installed{_to_install(module)}'
    return reason(error)


def _to_install(package: str) -> str:
    return f': {HOSTS[package].install}' if package in HOSTS else ''


def find_config(name: str) -> str:
    """Path of a config file, or of a host's own: `mmdet::retinanet/retinanet_r50_fpn_1x_coco.py`.

    Raises:
        ConfigError: if there is none.
    """
    if '::' not in name:
        if not Path(name).is_file():
            raise ConfigError(f'config {name!r} does not exist (looked for {Path(name).absolute()})')
        return name
    package, _, below = name.partition('::')
    # Not by mmengine.hub, which installs a package that is missing.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f'config {name!r}: the package {package!r} is not installed{_to_install(package)}')
    root = Path(spec.submodule_search_locations[0]) / '.mim' / 'configs'
    if not (root / below).is_file():
        known = [path.relative_to(root).as_posix() for path in root.rglob('*.py')]
        hint = nearest(below, known).replace("mean '", f"mean '{package}::")
        raise ConfigError(f'config {name!r} does not exist (looked for {root / below}).{hint}')
    return str(root / below)


def _override(cfg: Config, options: Mapping[str, Any]) -> None:
    """Apply `--cfg-options` one by one, so that each that does not fit is told."""
    known = {*cfg, *keys_read()}
    faults = []
    for key, value in options.items():
        top = key.split('.')[0]
        if top not in known:
            faults.append(f'--cfg-options {key}: nothing in the config is called {top!r}.{nearest(top, sorted(known))}')
            continue
        slip = _slip(dict(cfg.items()), key.split('.'))
        if slip:
            faults.append(f'--cfg-options {key}: {slip}')
            continue
        try:
            cfg.merge_from_dict({key: value})
        except (AssertionError, IndexError, KeyError, TypeError, ValueError) as error:
            faults.append(f'--cfg-options {key} = {value!r} does not fit the config: {reason(error)}')
    if faults:
        raise ConfigError(*faults)


def _slip(config: Any, names: list[str]) -> str:
    """What is wrong with a path that goes past a known key by a letter; of a component, its signature tells."""
    for i, name in enumerate(names):
        if not isinstance(config, Mapping):
            return ''
        if name not in config:
            meant = '' if 'type' in config or not i else similar(name, list(config))
            return f'nothing in {".".join(names[:i])} is called {name!r}. Did you mean {meant!r}?' if meant else ''
        config = config[name]
    return ''


def use_amp(cfg: Config) -> None:
    """Turn on mixed precision as the ecosystem's `--amp` does; on the CPU too, in bfloat16."""
    cfg.optim_wrapper.type = 'mmlocal.BlockwiseAmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def exit_with_message(main: Callable[..., None]) -> Callable[..., None]:
    """Let `main` end with every fault in a line of its own and exit code 2 on a `ConfigError`, or a disk that fails.

    What it reads of checkpoints are weights alone, but of those that it gives to `trust_checkpoint`. Work directories
    that it has locked are free when it ends.
    """

    @functools.wraps(main)
    def guarded(*args: Any) -> None:
        # A log that cannot be written would show a traceback for each line.
        before, logging.raiseExceptions = logging.raiseExceptions, False
        try:
            with weights_only():
                main(*args)
        except ConfigError as error:
            _exit(*error.faults)
        except NonFiniteLossError as error:
            _exit(str(error))
        except KeyboardInterrupt as error:
            sys.stderr.write(f'\n{error if error.args else "interrupted"}\n')
            sys.exit(128 + signal.SIGINT)
        except OSError as error:
            if not is_of_disk(error):
                raise
            _exit(f'{error.filename or "a file"}: {error.strerror}')
        finally:
            logging.raiseExceptions = before
            unlock_work_dirs()

    return guarded


def _exit(*faults: str) -> None:
    for fault in faults:
        sys.stderr.write(f'error: {fault}\n')
    sys.exit(2)


def check_work_dir(path: str) -> None:
    """Write into the work directory before anything is trained.

    Raises:
        ConfigError: if that fails.
    """
    probe = Path(path) / f'.probe_{os.getpid()}'
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f'work_dir = {path!r} cannot be written: {error.strerror}') from error
