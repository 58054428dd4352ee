"""The one place that knows quirks of other packages."""

from mmlocal.compat.distributions import name_installed_distributions
from mmlocal.compat.hosts import import_host, import_hosts
from mmlocal.compat.mixed_precision import cast_mmcv_operations
from mmlocal.compat.processes import join_processes

__all__ = ['cast_mmcv_operations', 'import_host', 'import_hosts', 'join_processes', 'name_installed_distributions']
