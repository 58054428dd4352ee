"""`torch.compile` for the forward of units. Boundaries are hooks on them, and stay as they are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mmlocal.errors import ConfigError, nearest

__all__ = ['compile_forward', 'compile_options', 'compile_report', 'prepare_compiler']

_OPTIONS = [name for name in inspect.signature(torch.compile).parameters if name not in ('model', 'disable')]


def compile_options(given: bool | Mapping[str, Any]) -> dict[str, Any] | None:
    """Arguments of `torch.compile`, or none where nothing is to be compiled.

    Raises:
        ConfigError: with each that it does not have, and a backend that is not there.
    """
    if given is False:
        return None
    if given is not True and not isinstance(given, Mapping):
        raise ConfigError(f" = {given!r} is neither True, False, nor a dict such as dict(backend='inductor')")
    options = {} if given is True else dict(given)
    listed = f' Arguments: {", ".join(_OPTIONS)}'
    faults = [
        f'{name} = {value!r} is not an argument of torch.compile.{nearest(name, _OPTIONS) or listed}'
        for name, value in options.items()
        if name not in _OPTIONS
    ]
    backend = options.get('backend', 'inductor')
    known = torch._dynamo.list_backends()
    if isinstance(backend, str) and backend not in torch._dynamo.list_backends(exclude_tags=()):
        faults.append(f'backend = {backend!r} is not one of {", ".join(known)}.{nearest(backend, known)}')
    if faults:
        raise ConfigError(*faults)
    return options


def prepare_compiler(units: int, isolated: bool) -> None:
    """Set what is one for the whole process.

    Args:
        units: how many run the same code, each perhaps with a graph of its own; torch gives up at 8.
        isolated: whether only one loss flows through a unit. Otherwise its graph is kept for the next one, which
            torch's compiled backward does not allow as it is.
    """
    config = torch._dynamo.config
    # A unit that runs again in its backward does so with another momentum of batch norm.
    config.recompile_limit = max(config.recompile_limit, 4 * units)
    if not isolated:
        torch._functorch.config.donated_buffer = False


def compile_forward(module: nn.Module, options: Mapping[str, Any]) -> None:
    """Let `module` run compiled in training, and as it is anywhere else. Its hooks and its keys stay what they are.

    Args:
        module: a unit, or a part of one.
        options: arguments of `torch.compile`.
    """
    # The plain function of the class, which is given the module: a deep copy runs its own weights.
    module.forward = partial(_forward, module, module.forward, torch.compile(type(module).forward, **options))


def _forward(module: nn.Module, plain: Callable[..., Any], compiled: Callable[..., Any], *args: Any) -> Any:
    # Tensors of another kind are those that only stand for some, when memory is estimated.
    if module.training and torch.is_grad_enabled() and all(type(a) is Tensor for a in args if isinstance(a, Tensor)):
        return compiled(module, *args)
    return plain(*args)


def compile_report(modules: int) -> str:
    """One line on what was compiled in this process so far: graphs, graph breaks and their reasons.

    Args:
        modules: how many run compiled. Those of the same kind and sizes share a graph.
    """
    counters = torch._dynamo.utils.counters
    breaks: Mapping[str, int] = counters['graph_break']
    graphs = counters['stats']['unique_graphs']
    text = f'torch.compile: {modules} modules, {graphs} graphs, {sum(breaks.values())} breaks'
    reasons = '; '.join(f'{number} x {str(why).splitlines()[0]}' for why, number in breaks.items())
    return f'{text} ({reasons})' if reasons else text
