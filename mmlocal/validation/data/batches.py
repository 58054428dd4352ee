"""Batches that an epoch of training comes to."""

from __future__ import annotations

import copy
from typing import Any

from mmengine.dist import get_world_size
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import BatchSampler

from mmlocal.errors import ConfigError
from mmlocal.memory import fake_step, make_fake
from mmlocal.randomness import undisturbed

__all__ = ['check_batches', 'check_single_image']

# What torch says of batch norm over one value.
_ONE_VALUE = 'Expected more than 1 value per channel'


def check_batches(runner: Runner, loader: Any) -> None:
    """An epoch without a batch trains nothing and says nothing, or fails in a scheduler.

    Raises:
        ConfigError: if there is none.
    """
    if isinstance(runner.train_loop, EpochBasedTrainLoop) and not len(loader):
        size, images = runner.cfg.train_dataloader.get('batch_size', 1), len(loader.dataset)
        raise ConfigError(f'batch_size = {size}, but there are {images} images, and an incomplete batch is dropped')


def check_single_image(runner: Runner, loader: Any, sample: Any) -> None:
    """Let a batch of one image through the model, without numbers, where an epoch comes to one.

    Raises:
        ConfigError: if batch norm has one value a channel then.
    """
    size, rest = _sizes(runner, loader)
    if 1 not in (size, rest) or sample is None or not _has_batch_norm(runner.model):
        return
    if not _fails_with_one(runner.model, loader.collate_fn([copy.deepcopy(sample)])):
        return
    if size == 1:
        raise ConfigError('batch_size = 1, and batch norm has one value a channel then: set batch_size = 2 or more')
    raise ConfigError(
        f'batch_size = {size} leaves a last batch of one of the {len(loader.dataset)} images, over which batch norm '
        'has one value a channel. Set drop_last=True, or another batch_size'
    )


@undisturbed()
def _fails_with_one(model: nn.Module, batch: Any) -> bool:
    """Whether batch norm refuses a batch; all else is told where it is looked for."""
    try:
        with fake_step() as fake:
            twin: Any = copy.deepcopy(model).train()
            make_fake(twin, fake)
            data = twin.data_preprocessor(batch, True)
            twin(**data, mode='loss')
    except Exception as error:  # a model may raise anything
        return _ONE_VALUE in str(error)
    return False


def _sizes(runner: Runner, loader: Any) -> tuple[int, int]:
    """Images in a batch, and in the last one of an epoch; (0, 0) where they cannot be told, or need no look."""
    batches = loader.batch_sampler
    if get_world_size() > 1 or not isinstance(runner.train_loop, EpochBasedTrainLoop):
        return 0, 0
    if type(batches) is not BatchSampler:
        return int(getattr(batches, 'batch_size', 0) == 1), 0
    rest = 0 if batches.drop_last else len(loader.sampler) % batches.batch_size
    return batches.batch_size, rest


def _has_batch_norm(model: Any) -> bool:
    return isinstance(model, nn.Module) and any(isinstance(module, _BatchNorm) for module in model.modules())
