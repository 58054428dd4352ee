"""What a config will cost, and where to cut it, before it is trained."""

from mmlocal.planning.costs import Costs, count_costs
from mmlocal.planning.cuts import balanced_cuts
from mmlocal.planning.images import image_batch
from mmlocal.planning.measure import Measured, machine, measure
from mmlocal.planning.picture import draw_live_bytes, phases
from mmlocal.planning.plan import parse_bytes, plan
from mmlocal.planning.training_step import TrainingStep, estimate
from mmlocal.planning.variants import Variant, checkpointed, end_to_end, variants

__all__ = [
    'Costs',
    'Measured',
    'TrainingStep',
    'Variant',
    'balanced_cuts',
    'checkpointed',
    'count_costs',
    'draw_live_bytes',
    'end_to_end',
    'estimate',
    'image_batch',
    'machine',
    'measure',
    'parse_bytes',
    'phases',
    'plan',
    'variants',
]
