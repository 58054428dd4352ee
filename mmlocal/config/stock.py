"""A completed config as its host alone would have it: what `localize` and `make_local` do, undone."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmlocal.config.complete import LOOPS, NETWORKS, WRAPPERS
from mmlocal.config.keys import keys_read
from mmlocal.config.make_local import stock_network
from mmlocal.registry import OPTIM_WRAPPERS

__all__ = ['stock_config']

_PREFIX = 'mmlocal.'
_STOCK_TYPES = {
    **{f'{_PREFIX}{ours}': stock for stock, ours in WRAPPERS.items()},
    **{ours: stock for stock, ours in LOOPS.items()},
    'mmlocal.SafeCheckpointHook': 'CheckpointHook',
    'mmlocal.CountedSampler': 'InfiniteSampler',
}


def stock_config(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what local learning added to it, for a host that has never heard of mmlocal.

    Nothing is built. What the model itself has of mmlocal (a network such as `mmlocal.CifarResNet`) stays, with
    the imports that it needs: such a model has no stock form.

    Args:
        cfg: as a run leaves it in its work directory or in its checkpoints.
    """
    stock = copy.deepcopy(dict(cfg))
    model = stock.get('model') or {}
    for slot in NETWORKS:
        if isinstance(model.get(slot), Mapping) and 'type' in model[slot]:
            model[slot] = stock_network(model[slot])
    if isinstance(stock.get('optim_wrapper'), Mapping):
        stock['optim_wrapper'] = _stock_wrapper(stock['optim_wrapper'])
    if not _ours(model):
        stock.pop('custom_imports', None)
    if _ours(stock.get('model_wrapper_cfg')):
        del stock['model_wrapper_cfg']
    hooks = stock.get('custom_hooks')
    if isinstance(hooks, (list, tuple)):
        stock['custom_hooks'] = [hook for hook in hooks if not _ours(hook)]
    unread = [key for key, value in stock.items() if key not in keys_read() and _ours(value)]
    for key in unread:  # presets, which the config file has put where they are read
        del stock[key]
    for part in _parts(stock):
        part['type'] = _STOCK_TYPES.get(part['type'], part['type'])
    return stock


def _stock_wrapper(wrapper: Mapping[str, Any]) -> dict[str, Any]:
    """Without the arguments that the stock one lacks."""
    stock = dict(wrapper)
    constructor = stock.pop('base_constructor', None)
    if constructor or _ours(stock.get('constructor')):
        stock.pop('constructor', None)
    if constructor:
        stock['constructor'] = constructor
    if not _ours(stock.get('type')):
        return stock
    ours: Any = OPTIM_WRAPPERS.get(stock['type'])
    own = {name for name, p in inspect.signature(ours).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
    base: Any = OPTIM_WRAPPERS.get(_STOCK_TYPES.get(stock['type'], 'OptimWrapper'))
    return {k: v for k, v in stock.items() if k not in own or k in inspect.signature(base).parameters or k == 'type'}


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Every dict with a type inside of a config."""
    if isinstance(config, dict):
        if isinstance(config.get('type'), str):
            yield config
        for value in config.values():
            yield from _parts(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _parts(value)


def _ours(config: Any) -> bool:
    """Whether a type in it is one of mmlocal."""
    if isinstance(config, str):
        return config.startswith(_PREFIX)
    return any(part['type'].startswith(_PREFIX) for part in _parts(config))
