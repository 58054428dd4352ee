"""Looking at data before and while it is trained on: every fault names its file and its place in the config."""

from mmlocal.config.data.building import build_dataset
from mmlocal.config.data.categories import categories_of
from mmlocal.config.data.checks import check_dataset, first_middle_last
from mmlocal.config.data.contents import shown
from mmlocal.config.data.loops import check_evaluators, check_loops
from mmlocal.config.data.samples import DataError, leaves_of
from mmlocal.config.data.targets import Targets, targets_of

__all__ = [
    'DataError',
    'Targets',
    'build_dataset',
    'categories_of',
    'check_dataset',
    'check_evaluators',
    'check_loops',
    'first_middle_last',
    'leaves_of',
    'shown',
    'targets_of',
]
