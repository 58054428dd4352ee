"""Looking at data before and while it is trained on: every fault names its file and its place in the config."""

from mmlocal.config.data.building import build_dataset, leaves
from mmlocal.config.data.checks import check_dataset, check_loops
from mmlocal.config.data.samples import DataError, name_samples
from mmlocal.config.data.targets import Targets, targets_of

__all__ = [
    'DataError',
    'Targets',
    'build_dataset',
    'check_dataset',
    'check_loops',
    'leaves',
    'name_samples',
    'targets_of',
]
