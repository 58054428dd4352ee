"""Registries of mmlocal, children of mmengine's.

A config names this project's types as `mmlocal.X` and keeps its host's `default_scope`. Nothing in
this file may fail to import: mmengine swallows the error and reports the type as unknown.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_MODEL_WRAPPERS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import PARAM_SCHEDULERS as MMENGINE_PARAM_SCHEDULERS
from mmengine.registry import STRATEGIES as MMENGINE_STRATEGIES
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    scope='mmlocal',
    locations=['mmlocal.blocks', 'mmlocal.auxiliaries', 'mmlocal.models.gso_yolo', 'mmlocal.models.replacement'],
)
MODEL_WRAPPERS = Registry(
    'model_wrapper', parent=MMENGINE_MODEL_WRAPPERS, scope='mmlocal', locations=['mmlocal.engine']
)
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mmlocal', locations=['mmlocal.engine', 'mmlocal.memory'])
OPTIM_WRAPPERS = Registry(
    'optim_wrapper', parent=MMENGINE_OPTIM_WRAPPERS, scope='mmlocal', locations=['mmlocal.engine']
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer constructor', parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS, scope='mmlocal', locations=['mmlocal.engine']
)
LOOPS = Registry('loop', parent=MMENGINE_LOOPS, scope='mmlocal', locations=['mmlocal.engine'])
DATA_SAMPLERS = Registry('data sampler', parent=MMENGINE_DATA_SAMPLERS, scope='mmlocal', locations=['mmlocal.engine'])
STRATEGIES = Registry('strategy', parent=MMENGINE_STRATEGIES, scope='mmlocal', locations=['mmlocal.engine'])
TRANSFORMS = Registry('transform', parent=MMENGINE_TRANSFORMS, scope='mmlocal', locations=['mmlocal.engine'])

PARAM_SCHEDULERS = Registry(
    'parameter scheduler', parent=MMENGINE_PARAM_SCHEDULERS, scope='mmlocal', locations=['mmlocal.engine']
)
# Named by `custom_imports` of the configs that use them, as torchvision takes a second to import.
DATASETS = Registry('dataset', parent=MMENGINE_DATASETS, scope='mmlocal', locations=['mmlocal.datasets'])

# Functions, looked up by name alone: `partition=dict(type='Even', num_blocks=4)`.
PARTITIONS = Registry('partition', scope='mmlocal', locations=['mmlocal.blocks'])
# Functions that choose the units that an auxiliary copies: `units=dict(type='Next')`.
CHOICES = Registry('choice of units', scope='mmlocal', locations=['mmlocal.auxiliaries'])

__all__ = [
    'CHOICES',
    'DATASETS',
    'DATA_SAMPLERS',
    'HOOKS',
    'LOOPS',
    'MODELS',
    'MODEL_WRAPPERS',
    'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS',
    'PARTITIONS',
    'STRATEGIES',
    'TRANSFORMS',
]
