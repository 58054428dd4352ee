"""Configs in, configs or errors out."""

from mmlocal.config.cli import add_config_arguments, exit_with_message, load_config
from mmlocal.config.localize import find_backbone, is_local, localize
from mmlocal.config.validate import check_checkpoint, validate

__all__ = [
    'add_config_arguments',
    'check_checkpoint',
    'exit_with_message',
    'find_backbone',
    'is_local',
    'load_config',
    'localize',
    'validate',
]
