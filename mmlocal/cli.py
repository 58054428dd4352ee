"""What the command line tools share: reading a config, and ending with one message instead of a traceback."""

from __future__ import annotations

import argparse
import errno
import functools
import importlib.util
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from mmlocal.config import find_backbone, leaf_text, make_local
from mmlocal.engine.resume.reading import weights_only
from mmlocal.engine.resume.work_dir_lock import unlock_work_dirs
from mmlocal.errors import ConfigError, Faults, NonFiniteLossError, nearest, reason, similar
from mmlocal.hosts import import_hosts, name_installed_distributions
from mmlocal.planning import plan
from mmlocal.validation import validate
from mmlocal.validation.sections import READ_BESIDE_THE_RUNNER

__all__ = [
    'add_config_arguments',
    'check_work_dir',
    'exit_with_message',
    'find_config',
    'load_config',
    'prepare',
    'read_config',
    'use_amp',
]

# What a disk says that is full, broken or write-protected: nobody's bug.
_DISK = (errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS)


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


class _Options(DictAction):
    """`key=value` pairs, refused with a sentence where the host's own action has a traceback."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        for pair in values or []:
            try:
                super().__call__(parser, namespace, [pair], option_string)
            except (AssertionError, ValueError) as error:
                why = 'has unbalanced brackets' if '=' in pair else 'is not key=value'
                raise argparse.ArgumentError(self, f'{pair!r} {why}') from error
            except RecursionError as error:  # what mmengine makes of braces
                why = 'is not read: give a dict key by key, as a.b=1 a.c=2'
                raise argparse.ArgumentError(self, f'{pair!r} {why}') from error


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
    cfg = validate(cfg, splits, checkpoint)
    found, faults = find_backbone(cfg), Faults()
    with faults.under(f'{found[0]}.partition' if found else ''):
        cfg = plan(cfg, checkpoint[1] if checkpoint else None)
    faults.report()
    return cfg


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
        cfg = Config.fromfile(path)
    except Exception as error:  # configs are code: theirs may raise anything
        raise ConfigError(f'config {args.config!r} cannot be read: {reason(error)}') from error
    if getattr(args, 'local', None):
        cfg = make_local(cfg, args.local, args.blocks, dict(type='Balanced', otherwise='Even'))
        leaf = leaf_text(args.config, cfg, args.local)
        sys.stdout.write(f'To keep this, write it into configs/{args.local}/YOUR_NAME.py:\n\n{leaf}\n')
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
        raise ConfigError(f'config {name!r}: the package {package!r} is not installed')
    root = Path(spec.submodule_search_locations[0]) / '.mim' / 'configs'
    if not (root / below).is_file():
        known = [path.relative_to(root).as_posix() for path in root.rglob('*.py')]
        hint = nearest(below, known).replace("mean '", f"mean '{package}::")
        raise ConfigError(f'config {name!r} does not exist (looked for {root / below}).{hint}')
    return str(root / below)


def _override(cfg: Config, options: Mapping[str, Any]) -> None:
    """Apply `--cfg-options` one by one, so that each that does not fit is told."""
    from mmengine.runner import Runner

    known = {*cfg, *inspect.signature(Runner).parameters, *READ_BESIDE_THE_RUNNER}
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


def exit_with_message(main: Callable[[], None]) -> Callable[[], None]:
    """Let `main` end with every fault in a line of its own and exit code 2 on a `ConfigError`, or a disk that fails.

    What it reads of checkpoints are weights alone, but of those that it gives to `trust_checkpoint`. Work directories
    that it has locked are free when it ends.
    """

    @functools.wraps(main)
    def guarded() -> None:
        # A log that cannot be written would show a traceback for each line.
        before, logging.raiseExceptions = logging.raiseExceptions, False
        try:
            with weights_only():
                main()
        except ConfigError as error:
            _exit(*error.faults)
        except NonFiniteLossError as error:
            _exit(str(error))
        except OSError as error:
            if error.errno not in _DISK:
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
