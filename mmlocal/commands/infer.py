"""Draw what a trained model sees in images."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader

from mmlocal.cli import exit_with_message, find_config
from mmlocal.config import written_config
from mmlocal.errors import ConfigError
from mmlocal.hosts import host_of, import_host, name_installed_distributions

_IMAGES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def config_of(checkpoint: str, path: str | None) -> Config:
    """The config at a path, or the one that a checkpoint holds.

    Raises:
        ConfigError: if there is none.
    """
    if path is not None:
        name_installed_distributions()
        return Config.fromfile(find_config(path))
    meta = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu').get('meta') or {}
    if 'cfg' not in meta:
        raise ConfigError(f'checkpoint {checkpoint!r} holds no config. Give it: --config FILE')
    try:
        return Config(written_config(meta['cfg']))
    except ConfigError as error:
        raise ConfigError(*(f'checkpoint {checkpoint!r}: the config{fault}' for fault in error.faults)) from error


def files_of(images: list[str]) -> list[str]:
    """The image files that are named, and those in the folders that are.

    Raises:
        ConfigError: with those that are not there, and folders without images.
    """
    found: list[str] = []
    faults: list[str] = []
    for path in map(Path, images):
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in _IMAGES) if path.is_dir() else [path]
        if not inside:
            faults.append(f'images: {str(path)!r} has no image in it ({", ".join(_IMAGES)})')
        faults += [f'images: {str(p)!r} does not exist' for p in inside if not p.is_file()]
        found += map(str, inside)
    if faults:
        raise ConfigError(*faults)
    return found


@exit_with_message
def main(args: argparse.Namespace) -> None:
    """Let the model's host draw, and say where."""
    images = files_of(args.images)
    if not Path(args.checkpoint).is_file():
        raise ConfigError(f'checkpoint {args.checkpoint!r} does not exist')
    cfg = config_of(args.checkpoint, args.config)
    host = host_of(cfg)
    if host is None:
        raise ConfigError('the model of the config is of no host that mmlocal knows: use its own tools')
    import_host(host.name)
    with DefaultScope.overwrite_default_scope(host.name):
        host.infer(cfg, args.checkpoint, images, args.out_dir, args.device)
    sys.stdout.write(f'pictures: {args.out_dir}\n')
