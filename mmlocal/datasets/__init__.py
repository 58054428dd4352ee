"""Datasets that no host has, in the hosts' protocol; a config names their modules in `custom_imports`."""
