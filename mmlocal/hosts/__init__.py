"""The one place that knows other packages: each host in a file of its own, and the quirks of all of them."""

from mmlocal.hosts.base import HOSTS, Host, host_named, host_of, register_host, rules_of
from mmlocal.hosts.base_datasets import base_datasets_of
from mmlocal.hosts.distributions import name_installed_distributions
from mmlocal.hosts.importing import import_host, import_hosts, import_named
from mmlocal.hosts.mixed_precision import cast_mmcv_operations

from mmlocal.hosts.mmdet import MMDet  # isort: skip (the first host that has a model is its host)
from mmlocal.hosts.mmyolo import MMYolo  # isort: skip
from mmlocal.hosts.mmpretrain import MMPretrain  # isort: skip
from mmlocal.hosts.mmseg import MMSeg  # isort: skip
from mmlocal.hosts.mmagic import MMagic  # isort: skip

__all__ = [
    'HOSTS',
    'Host',
    'MMDet',
    'MMPretrain',
    'MMSeg',
    'MMYolo',
    'MMagic',
    'base_datasets_of',
    'cast_mmcv_operations',
    'host_named',
    'host_of',
    'import_host',
    'import_hosts',
    'import_named',
    'name_installed_distributions',
    'register_host',
    'rules_of',
]
