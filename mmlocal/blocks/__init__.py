"""Cutting a network into blocks, and training each before the next one runs."""

from mmlocal.blocks.backbone import LocalBackbone
from mmlocal.blocks.partition import even, find_cuts, stage
from mmlocal.blocks.place import Later, Place
from mmlocal.blocks.step import LocalStep, current_step
from mmlocal.blocks.units import Probe, Shape, Unit, find_units, probe, resnet_units, span

__all__ = [
    'Later',
    'LocalBackbone',
    'LocalStep',
    'Place',
    'Probe',
    'Shape',
    'Unit',
    'current_step',
    'even',
    'find_cuts',
    'find_units',
    'probe',
    'resnet_units',
    'span',
    'stage',
]
