"""Making a config local, and filling in what it leaves silent."""

from mmlocal.config.bases import check_bases, imported_packages, lost_imports
from mmlocal.config.complete import (
    auxiliaries_of,
    awaits_heads,
    find_backbone,
    find_replaced,
    is_local,
    is_planned,
    localize,
    save_safely,
)
from mmlocal.config.imported_types import name_types
from mmlocal.config.keys import keys_read
from mmlocal.config.make_local import leaf_text, make_local, method_names, stock_network
from mmlocal.config.stock import stock_config
from mmlocal.config.written import written_config

__all__ = [
    'auxiliaries_of',
    'awaits_heads',
    'check_bases',
    'find_backbone',
    'find_replaced',
    'imported_packages',
    'is_local',
    'is_planned',
    'keys_read',
    'leaf_text',
    'localize',
    'lost_imports',
    'make_local',
    'method_names',
    'name_types',
    'save_safely',
    'stock_config',
    'stock_network',
    'written_config',
]
