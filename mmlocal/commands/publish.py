"""Make a checkpoint ready for others.

What is left are the weights under the stock network's own keys and `meta`: the auxiliary networks,
what replaced units learn (their keys hold the weights synthesised with it), the optimizer and the
random states go. The config in `meta` becomes that of the stock model, which loads the result without mmlocal.
As elsewhere in the ecosystem the first eight digits of the file's SHA-256 are put into its name.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from mmlocal.blocks import AUXILIARIES
from mmlocal.cli import exit_with_message
from mmlocal.config import stock_config, written_config
from mmlocal.engine.resume import check_checkpoint
from mmlocal.errors import ConfigError, Faults, reason

# Parts of a model that its stock network lacks.
_OF_TRAINING = (f'.{AUXILIARIES}.', '.replacement.')


def publish(in_file: str, out_file: str | Path, save_keys: Sequence[str] = ('meta', 'state_dict')) -> Path:
    """Write the published form of `in_file` and return its path; what is left of `in_file` is `save_keys`.

    Raises:
        ConfigError: if the checkpoint lacks one of `save_keys`, or the file cannot be written.
    """
    checkpoint = CheckpointLoader.load_checkpoint(in_file, map_location='cpu')
    missing = [key for key in save_keys if key not in checkpoint]
    if missing:
        raise ConfigError(f'in_file = {in_file!r} has no {", ".join(missing)}; it has {", ".join(checkpoint)}')
    kept = {key: checkpoint[key] for key in save_keys}
    if 'state_dict' in kept:
        state = kept['state_dict']
        kept['state_dict'] = {k: v for k, v in state.items() if not any(part in k for part in _OF_TRAINING)}
    if 'cfg' in (kept.get('meta') or {}):
        kept['meta'] = {**kept['meta'], 'cfg': _stock_text(kept['meta']['cfg'])}
    out_file = Path(out_file)
    name = out_file.name.removesuffix('.pth')
    unnamed = out_file.with_name(f'.{name}.{os.getpid()}')
    try:
        out_file.parent.mkdir(parents=True, exist_ok=True)
        # Into an open file: torch writes the name of a path into the archive, and so into its hash.
        with unnamed.open('wb') as file:
            torch.save(kept, file)
        digest = hashlib.sha256(unnamed.read_bytes()).hexdigest()[:8]
        final = out_file.with_name(f'{name}-{digest}.pth')
        os.replace(unnamed, final)
    except OSError as error:
        raise ConfigError(f'out_file = {str(out_file)!r} cannot be written: {reason(error)}') from error
    finally:
        with contextlib.suppress(OSError):
            unnamed.unlink()
    return final


def _stock_text(text: str) -> str:
    """The config of a checkpoint for a host without mmlocal.

    Raises:
        ConfigError: if the text holds code.
    """
    try:
        return Config(stock_config(written_config(text))).pretty_text
    except ConfigError as error:
        remedy = 'Without a config it is published by --save-keys state_dict'
        raise ConfigError(*(f'in_file: the config{fault}. {remedy}' for fault in error.faults)) from error


@exit_with_message
def main(args: argparse.Namespace) -> None:
    """Publish a checkpoint, and say where."""
    faults = Faults()
    with faults.under('in_file'):
        check_checkpoint(args.in_file)
    faults.report()
    sys.stdout.write(f'published: {publish(args.in_file, args.out_file, args.save_keys)}\n')
