"""Looking at data before and while it is trained on: every fault names its file and its place in the config."""

from mmlocal.validation.data.building import build_dataset
from mmlocal.validation.data.categories import categories_of
from mmlocal.validation.data.checks import check_dataset, first_middle_last
from mmlocal.validation.data.contents import shown
from mmlocal.validation.data.loops import check_evaluators, check_loops
from mmlocal.validation.data.samples import DataError
from mmlocal.validation.data.targets import Targets, targets_of

__all__ = [
    'DataError',
    'Targets',
    'build_dataset',
    'categories_of',
    'check_dataset',
    'check_evaluators',
    'check_loops',
    'first_middle_last',
    'shown',
    'targets_of',
]
