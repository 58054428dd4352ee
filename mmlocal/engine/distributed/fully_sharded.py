"""Weights, gradients and optimizer state divided among the processes, block by block."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from mmengine._strategy import DDPStrategy
from mmengine.device import get_device
from mmengine.dist import all_reduce, broadcast, get_world_size, is_main_process
from mmengine.utils.misc import apply_to
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from mmlocal.blocks import Division, LocalBackbone
from mmlocal.blocks.partition import to_blocks
from mmlocal.engine.distributed.differences import check_same, shapes_of
from mmlocal.errors import ConfigError
from mmlocal.registry import STRATEGIES

__all__ = ['FullyShardedStrategy', 'shard_blocks']


@STRATEGIES.register_module()
class FullyShardedStrategy(DDPStrategy):
    """Training by `FlexibleRunner` in several processes that each hold a share of the weights (FSDP2).

    The weights of a block are gathered when it starts and let go after its backward, its auxiliary's when the
    boundary trains it. A loss of a later block that reaches it gathers them again. What belongs to no block (necks,
    heads, position embeddings) is whole during an iteration. Weights start as those of the first process.

    Checkpoints are those of one process: whole weights under the model's own keys, whole optimizer state.

    Args:
        **kwargs: as for mmengine's `DDPStrategy`, but for `model_wrapper`, of which there is none.

    Raises:
        ConfigError: if a model wrapper is given, or the model cannot be divided.
    """

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get('model_wrapper'):
            raise ConfigError('strategy.model_wrapper: FullyShardedStrategy divides the model itself; leave it out')
        super().__init__(**kwargs)

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        model = self.convert_model(model.to(get_device()))
        shard_blocks(model)
        return model

    def save_checkpoint(self, filename: str, *, save_optimizer: bool = True, **kwargs: Any) -> None:
        """All processes gather, the first one writes."""
        if not is_main_process():
            self.model_state_dict()
            if save_optimizer and hasattr(self, 'optim_wrapper'):
                self.optim_state_dict()
        super().save_checkpoint(filename, save_optimizer=save_optimizer, **kwargs)

    def model_state_dict(self) -> dict[str, Any]:
        """Whole weights and buffers, in the first process; all processes have to ask."""
        state: dict[str, Any] = self.model.state_dict()
        for key, value in state.items():
            state[key] = _whole(value)
        return state

    def optim_state_dict(self) -> dict[str, Any]:
        """Whole optimizer state, in the first process; all processes have to ask."""
        state: dict[str, Any] = apply_to(super().optim_state_dict(), lambda x: isinstance(x, DTensor), _whole)
        return state

    def load_model_state_dict(
        self,
        state_dict: dict[str, Any],
        *,
        strict: bool = False,
        revise_keys: Sequence[tuple[str, str]] = ((r'^module\.', ''),),
    ) -> None:
        """Take this process's share of whole weights."""
        mine = self.model.state_dict()
        for key in list(state_dict):
            name = key
            for pattern, replacement in revise_keys:
                name = re.sub(pattern, replacement, name)
            state_dict[name] = _share(state_dict.pop(key), mine.get(name))
        super().load_model_state_dict(state_dict, strict=strict, revise_keys=[])

    def load_optim_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take this process's share of a whole optimizer state, by position."""
        parameters = [p for group in self.optim_wrapper.optimizer.param_groups for p in group['params']]
        state = {
            i: {key: _share(value, parameters[i]) for key, value in entry.items()}
            for i, entry in state_dict['state'].items()
        }
        super().load_optim_state_dict({**state_dict, 'state': state})


def shard_blocks(model: nn.Module) -> None:
    """Divide the blocks and auxiliaries of a model, and the rest of it, among all processes, in place.

    Raises:
        ConfigError: if gradients are to be differentiated (`reconcile`).
    """
    divisions = [module.local_division for module in model.modules() if isinstance(module, LocalBackbone)]
    if any(division.reconcile for division in divisions):
        raise ConfigError('reconcile differentiates a gradient, which FSDP2 does not; use mmlocal.LocalDataParallel')
    check_same(shapes_of(model))
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            broadcast(tensor)
    device = next(model.parameters()).device.type
    mesh = init_device_mesh(device, (get_world_size(),))
    # A single number (a learned scale) cannot be divided; torch takes norms of it and of divided weights together.
    whole = {p for p in model.parameters() if p.dim() == 0}
    shard: Any = partial(fully_shard, mesh=mesh, reshard_after_forward=False, ignored_params=whole)
    for p in whole:
        if p.requires_grad:
            p.register_hook(_mean)
    for division in divisions:
        for modules in _groups(division):
            _before_boundaries(modules, shard)
        for auxiliary in division.auxiliaries:
            shard(auxiliary)
            # What a boundary calls; `forward` is for the plan.
            register_fsdp_forward_method(auxiliary, 'streams')
    shard(model)
    parts = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for part in parts:
        part.set_force_sum_reduction_for_comms(device == 'cpu')  # gloo knows no average
    _keep_rest_whole(model, parts)


def _mean(gradient: Tensor) -> Tensor:
    gradient = gradient.clone()
    all_reduce(gradient, 'mean')
    return gradient


def _groups(division: Division) -> list[list[nn.Module]]:
    """The modules with weights of each run of units that one backward goes through, and the one that ends it.

    A block is one such run, or several where something behind it reads a unit inside.
    """
    ends = {unit.name: division.network.get_submodule(unit.end) for unit in division.units}
    runs = to_blocks(division.units, [name for name, end in list(ends.items())[:-1] if end._forward_hooks])
    return [
        [
            module
            for unit in run
            for module in map(division.network.get_submodule, unit.modules)
            if module is ends[run[-1].name] or next(module.parameters(), None) is not None
        ]
        for run in runs
    ]


def _before_boundaries(modules: list[nn.Module], shard: Any) -> None:
    """Divide, with the hooks of that before those that are there: a boundary's backward needs them on the output."""
    hooks: list[Any] = [module._forward_hooks for module in modules]
    earlier = [list(each) for each in hooks]
    shard(modules)
    for each, keys in zip(hooks, earlier, strict=True):
        for key in keys:
            each.move_to_end(key)


def _keep_rest_whole(model: Any, parts: list[Any]) -> None:
    """What belongs to no block stays whole from the forward's beginning to the last backward.

    A block's backward ends with all weights let go, those that the forward still needs among them.
    """

    def begin(*_: Any) -> None:
        model.set_reshard_after_backward(False, recurse=False)

    def end(*_: Any) -> None:
        model.set_reshard_after_backward(True, recurse=False)
        if not torch.is_grad_enabled():
            for part in parts:
                part.reshard()

    model.register_forward_pre_hook(begin)
    model.register_forward_hook(end, always_call=True)


def _whole(value: Any) -> Any:
    """Gathered, and on the CPU; in other processes than the first an empty one."""
    if not isinstance(value, Tensor):
        return value
    value = value.full_tensor() if isinstance(value, DTensor) else value
    return value.cpu() if is_main_process() else value.new_empty(0)


def _share(value: Any, template: Any) -> Any:
    """This process's part of a whole tensor, if it is divided."""
    if not isinstance(template, DTensor) or not isinstance(value, Tensor) or value.shape != template.shape:
        return value
    mesh = template.device_mesh
    return distribute_tensor(value.to(mesh.device_type), mesh, template.placements, src_data_rank=None)
