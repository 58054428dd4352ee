"""Learning rates and decays: those of stock for a stock network's parameters, and of their like for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as STOCK_CONSTRUCTORS
from torch import nn

from mmlocal.auxiliaries import CopyBridge, MomentumCopy
from mmlocal.engine.summary import find_division
from mmlocal.registry import OPTIM_WRAPPER_CONSTRUCTORS

__all__ = ['LocalOptimWrapperConstructor']

# What hosts call the part of a model that its losses come from; of several the first.
_HEADS = ('bbox_head', 'roi_head', 'rpn_head', 'decode_head', 'head')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LocalOptimWrapperConstructor:
    """Lets any stock constructor divide the parameters of a model with a `LocalBackbone`.

    - The stock network, neck and heads: exactly what the stock constructor gives them, by name and by type.
    - A trainable copy of a unit: what the parameter that it is a copy of gets.
    - What else an auxiliary trains (local head, terms, adapters): what a part of the host's head would get. It is
      shown to the stock constructor as `HEAD.local_block1…`, with `HEAD` the first of `bbox_head`, `roi_head`,
      `rpn_head`, `decode_head` and `head` that the model has; without one as `local_block1…` of the model.
    - Momentum copies and whatever else does not train in an auxiliary: not in the optimizer.

    Args:
        optim_wrapper_cfg: as for mmengine's constructors; `base_constructor` in it names the stock constructor,
            `DefaultOptimWrapperConstructor` if not given.
        paramwise_cfg: of the stock constructor.
    """

    def __init__(self, optim_wrapper_cfg: Mapping[str, Any], paramwise_cfg: Mapping[str, Any] | None = None) -> None:
        wrapper = dict(optim_wrapper_cfg)
        stock = wrapper.pop('base_constructor', 'DefaultOptimWrapperConstructor')
        self.stock = STOCK_CONSTRUCTORS.build(dict(type=stock, optim_wrapper_cfg=wrapper, paramwise_cfg=paramwise_cfg))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer wrapper."""
        inner: Any = model.module if is_model_wrapper(model) else model
        division = find_division(inner)
        if division is None:
            return self.stock(model)
        auxiliaries = list(division.auxiliaries)
        with _hidden(inner, [division.auxiliaries, *_copies(auxiliaries)]), _shown_as_head(inner, auxiliaries):
            wrapper: Any = self.stock(model)
        _add_copies(wrapper.optimizer, auxiliaries)
        wrapper.knows_auxiliaries = True
        return wrapper


def _copies(auxiliaries: list[nn.Module]) -> list[nn.Module]:
    """Modules that hold copies of units and nothing else."""
    modules = [module for auxiliary in auxiliaries for module in auxiliary.modules()]
    trained = [module.copies for module in modules if isinstance(module, CopyBridge)]
    return [*trained, *(module for module in modules if isinstance(module, MomentumCopy))]


@contextmanager
def _hidden(model: nn.Module, modules: list[nn.Module]) -> Iterator[None]:
    """Take modules out of the model's tree."""
    wanted = {id(module) for module in modules}
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent._modules.items()
        if id(child) in wanted
    ]
    for parent, name, _ in places:
        parent._modules[name] = None
    try:
        yield
    finally:
        for parent, name, child in places:
            parent._modules[name] = child


@contextmanager
def _shown_as_head(model: nn.Module, auxiliaries: list[nn.Module]) -> Iterator[None]:
    """Let the auxiliaries be parts of the host's head, frozen parameters left out."""
    head: Any = next((part for name in _HEADS if isinstance(part := getattr(model, name, None), nn.Module)), model)
    names = [f'local_{auxiliary.name}' for auxiliary in auxiliaries]
    head._modules.update(zip(names, auxiliaries, strict=True))
    frozen = [
        (module, name, p)
        for auxiliary in auxiliaries
        for module in auxiliary.modules()
        for name, p in module._parameters.items()
        if p is not None and not p.requires_grad
    ]
    for module, name, _ in frozen:
        module._parameters[name] = None
    try:
        yield
    finally:
        for name in names:
            del head._modules[name]
        for module, name, p in frozen:
            module._parameters[name] = p


def _add_copies(optimizer: Any, auxiliaries: list[nn.Module]) -> None:
    """Put each parameter of a copied unit into the group of its source; into one of its own where that has none."""
    groups = {id(p): group for group in optimizer.param_groups for p in group['params']}
    for auxiliary in auxiliaries:
        for bridge in auxiliary.modules():
            for copy, source in bridge.pairs() if isinstance(bridge, CopyBridge) else ():
                group = groups.get(id(source))
                if group is not None:
                    group['params'].append(copy)
                else:
                    optimizer.add_param_group({'params': [copy]})
