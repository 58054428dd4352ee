"""Looking at data before and while it is trained on: every fault names its file and its place in the config."""

from mmlocal.validation.data.accounting import account_of
from mmlocal.validation.data.building import build_dataset
from mmlocal.validation.data.categories import class_names
from mmlocal.validation.data.checks import check_dataset, first_middle_last
from mmlocal.validation.data.contents import shown
from mmlocal.validation.data.evaluators import check_evaluated, check_evaluators
from mmlocal.validation.data.loops import check_loops
from mmlocal.validation.data.samples import DataError
from mmlocal.validation.data.splits import Splits
from mmlocal.validation.data.targets import Targets, targets_of

__all__ = [
    'DataError',
    'Splits',
    'Targets',
    'account_of',
    'build_dataset',
    'check_dataset',
    'check_evaluated',
    'check_evaluators',
    'check_loops',
    'class_names',
    'first_middle_last',
    'shown',
    'targets_of',
]
