"""Configs in, configs or errors out."""

from mmlocal.config.checkpoints import check_checkpoint, newest_checkpoint, save_safely, trust_checkpoints
from mmlocal.config.cli import add_config_arguments, check_work_dir, exit_with_message, load_config, read_config
from mmlocal.config.localize import auxiliaries_of, find_backbone, is_local, is_planned, localize
from mmlocal.config.make_local import make_local, method_names
from mmlocal.config.validate import validate

__all__ = [
    'add_config_arguments',
    'auxiliaries_of',
    'check_checkpoint',
    'check_work_dir',
    'exit_with_message',
    'find_backbone',
    'is_local',
    'is_planned',
    'load_config',
    'localize',
    'make_local',
    'method_names',
    'newest_checkpoint',
    'read_config',
    'save_safely',
    'trust_checkpoints',
    'validate',
]
