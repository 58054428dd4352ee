"""Hosts under another distribution's name."""

from __future__ import annotations

from importlib import metadata

from mmengine.config import utils

__all__ = ['name_installed_distributions']


def name_installed_distributions() -> None:
    """Tell mmengine the distributions that the installed hosts come from, and that this package has configs, too.

    mmengine finds the configs of `_base_ = 'mmseg::...'` by a distribution of a fixed name, and OpenMMLab
    has two families of distributions with the same import names.
    """
    utils.MODULE2PACKAGE.setdefault('mmlocal', 'mmlocal')
    # Where both names are the same, mmengine falls back on the import name by itself.
    missing = [m for m, name in utils.MODULE2PACKAGE.items() if m != name and not _is_installed(name)]
    if not missing:
        return
    installed = metadata.packages_distributions()
    for module in missing:
        if module in installed:
            utils.MODULE2PACKAGE[module] = installed[module][0]


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
