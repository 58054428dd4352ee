"""Cutting a network into blocks, and training each before the next one runs."""

from mmlocal.blocks import published  # noqa: F401  registered by being imported
from mmlocal.blocks.backbone import AUXILIARIES, LocalBackbone
from mmlocal.blocks.boundary_context import Earlier, Later, Place
from mmlocal.blocks.division import Division
from mmlocal.blocks.finding import find_units
from mmlocal.blocks.partition import even, find_cuts, stage
from mmlocal.blocks.probe import OUTPUTS, Output, Probe, Shape, probe
from mmlocal.blocks.recompute import run_twice, statistics_kept
from mmlocal.blocks.sizes import MapSize, map_size
from mmlocal.blocks.step import Done, LocalStep, current_step
from mmlocal.blocks.trainer import Batch, Part, Span, Stream, Trainer
from mmlocal.blocks.units import Chain, Unit, separate, span, stage_of

__all__ = [
    'AUXILIARIES',
    'OUTPUTS',
    'Batch',
    'Chain',
    'Division',
    'Done',
    'Earlier',
    'Later',
    'LocalBackbone',
    'LocalStep',
    'MapSize',
    'Output',
    'Part',
    'Place',
    'Probe',
    'Shape',
    'Span',
    'Stream',
    'Trainer',
    'Unit',
    'current_step',
    'even',
    'find_cuts',
    'find_units',
    'map_size',
    'probe',
    'run_twice',
    'separate',
    'span',
    'stage',
    'stage_of',
    'statistics_kept',
]
