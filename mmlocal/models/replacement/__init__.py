"""Replacement Learning: units of a network that are synthesised from their neighbours' weights."""

from mmlocal.models.replacement.backbone import replacement_backbone
from mmlocal.models.replacement.selection import Replacement, select
from mmlocal.models.replacement.synthesis import Scalars, Transformation
from mmlocal.models.replacement.unit import ReplacedUnit, replaced_units

__all__ = [
    'ReplacedUnit',
    'Replacement',
    'Scalars',
    'Transformation',
    'replaced_units',
    'replacement_backbone',
    'select',
]
