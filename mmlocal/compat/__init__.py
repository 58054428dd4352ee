"""The one place that knows quirks of other packages."""

from mmlocal.compat.distributions import name_installed_distributions

__all__ = ['name_installed_distributions']
