"""Making a config local, and filling in what it leaves silent."""

from mmlocal.config.bases import check_bases, imported_packages, lost_imports
from mmlocal.config.complete import (
    auxiliaries_of,
    find_backbone,
    find_replaced,
    is_local,
    is_planned,
    localize,
    save_safely,
)
from mmlocal.config.imported_types import name_types
from mmlocal.config.make_local import leaf_text, make_local, method_names, stock_network

__all__ = [
    'auxiliaries_of',
    'check_bases',
    'find_backbone',
    'find_replaced',
    'imported_packages',
    'is_local',
    'is_planned',
    'leaf_text',
    'localize',
    'lost_imports',
    'make_local',
    'method_names',
    'name_types',
    'save_safely',
    'stock_network',
]
