"""A model in several processes, whose blocks are averaged each as soon as its backward is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import broadcast
from torch import Tensor, nn

from mmlocal.engine.distributed.differences import check_same, shapes_of
from mmlocal.engine.distributed.reducer import CommunicationHook
from mmlocal.errors import ConfigError
from mmlocal.registry import MODEL_WRAPPERS

__all__ = ['LocalDataParallel']


@MODEL_WRAPPERS.register_module()
class LocalDataParallel(nn.Module):
    """A model with a `LocalBackbone` in several processes.

    A block's gradients are sent off when the last loss that reaches the block was propagated, and travel while the
    next block runs; `BlockwiseOptimWrapper` starts and awaits them. The gradients are those of
    `MMDistributedDataParallel`, for any reach and step policy, without its buckets: it holds nothing between steps.
    Weights and buffers start as those of the first process. Checkpoints have the model's own keys.

    Args:
        module: the model.
        process_group: the processes; all of them if not given.
        comm_hook: sums a tensor over the processes, `hook(tensor, process_group) -> Future`; `all_reduce` if not given.
        bucket_cap_mb: largest size in MiB of what is sent at once.
        device_ids: not used, as the model is on its device; mmengine's `DDPStrategy` gives it to every wrapper.
    """

    def __init__(
        self,
        module: nn.Module,
        process_group: Any = None,
        comm_hook: CommunicationHook | None = None,
        bucket_cap_mb: float = 25,
        device_ids: Any = None,
    ) -> None:
        super().__init__()
        self.module: Any = module
        self.process_group, self.comm_hook, self.bucket_cap_mb = process_group, comm_hook, bucket_cap_mb
        check_same(shapes_of(module), process_group)
        with torch.no_grad():
            for tensor in [*module.parameters(), *module.buffers()]:
                broadcast(tensor, 0, process_group)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model gives."""
        return self.module(*args, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Entered by mmengine while gradients accumulate: the optimizer wrapper averages them with the last part."""
        yield

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        """One iteration, as that of the model alone.

        Raises:
            ConfigError: if the optimizer wrapper would not average the gradients.
        """
        if not getattr(optim_wrapper, 'averages', False):
            raise ConfigError(
                f'optim_wrapper.type = {type(optim_wrapper).__name__!r} averages no gradients in a LocalDataParallel: '
                "use 'mmlocal.BlockwiseOptimWrapper', or MMDistributedDataParallel"
            )
        with optim_wrapper.optim_context(self):
            data = self.module.data_preprocessor(data, training=True)
            losses = self(**data, mode='loss') if isinstance(data, dict) else self(*data, mode='loss')
        loss, logs = self.module.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return dict(logs)

    def val_step(self, data: Any) -> Any:
        """The model's own."""
        return self.module.val_step(data)

    def test_step(self, data: Any) -> Any:
        """The model's own."""
        return self.module.test_step(data)
