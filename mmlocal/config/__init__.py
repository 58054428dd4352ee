"""Configs in, configs or errors out."""

from mmlocal.config.cli import add_config_arguments, exit_with_message, load_config, read_config
from mmlocal.config.files import check_checkpoint
from mmlocal.config.localize import auxiliaries_of, find_backbone, is_local, is_planned, localize
from mmlocal.config.make_local import make_local, method_names
from mmlocal.config.validate import validate

__all__ = [
    'add_config_arguments',
    'auxiliaries_of',
    'check_checkpoint',
    'exit_with_message',
    'find_backbone',
    'is_local',
    'is_planned',
    'load_config',
    'localize',
    'make_local',
    'method_names',
    'read_config',
    'validate',
]
