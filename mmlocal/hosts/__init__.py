"""The one place that knows quirks of other packages."""

from mmlocal.hosts.distributions import name_installed_distributions
from mmlocal.hosts.importing import import_host, import_hosts
from mmlocal.hosts.mixed_precision import cast_mmcv_operations

__all__ = ['cast_mmcv_operations', 'import_host', 'import_hosts', 'name_installed_distributions']
