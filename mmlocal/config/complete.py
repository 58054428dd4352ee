"""Filling in what a config of local learning leaves silent, before anything is built.

A backbone cannot see its host while it is being built, so what depends on the host (the local head
with its classes, the optimizer wrapper, the hooks) is written into the config first. The result is
an ordinary explicit config that the hosts' own tools run too.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dataset import InfiniteSampler

from mmlocal.config.make_local import stock_network
from mmlocal.errors import ConfigError, Faults
from mmlocal.hosts.derive import complete_head, complete_term, derive_head, derive_merge, for_task, merged
from mmlocal.registry import MODELS

__all__ = [
    'LOOPS',
    'NETWORKS',
    'WRAPPERS',
    'auxiliaries_of',
    'awaits_heads',
    'find_backbone',
    'find_replaced',
    'is_local',
    'is_planned',
    'localize',
    'save_safely',
]

WRAPPERS = {'OptimWrapper': 'BlockwiseOptimWrapper', 'AmpOptimWrapper': 'BlockwiseAmpOptimWrapper'}
_CONSTRUCTOR = 'mmlocal.LocalOptimWrapperConstructor'
_STOCK, _DDP = 'MMDistributedDataParallel', 'DDPStrategy'
_HOOKS = ('mmlocal.PlanHook', 'mmlocal.MomentumHook', 'mmlocal.ExactResumeHook')
LOOPS = {
    'EpochBasedTrainLoop': 'mmlocal.ResumableEpochLoop',
    'IterBasedTrainLoop': 'mmlocal.ResumableIterLoop',
}
# What a network with replaced units needs of these to resume to the bit; it has no copies to move.
_HOOKS_OF_REPLACED = ('mmlocal.PlanHook', 'mmlocal.ExactResumeHook')
_INFINITE = ('InfiniteSampler', 'mmengine.InfiniteSampler', InfiniteSampler)
_PLANNED = ('Balanced', 'Budget')
NETWORKS = ('backbone', 'generator')


def find_backbone(cfg: Mapping[str, Any]) -> tuple[str, ConfigDict] | None:
    """Place and config of the `LocalBackbone` of a config, or none: `('model.backbone', {...})`."""
    return _find(cfg, 'LocalBackbone')


def _find(cfg: Mapping[str, Any], kind: str) -> tuple[str, ConfigDict] | None:
    model = cfg.get('model') or {}
    for slot in NETWORKS:
        backbone = model.get(slot)
        if isinstance(backbone, Mapping) and str(backbone.get('type')).split('.')[-1] == kind:
            return f'model.{slot}', backbone
    return None


def is_local(cfg: Mapping[str, Any]) -> bool:
    """Whether a config trains with local learning."""
    return find_backbone(cfg) is not None


def find_replaced(cfg: Mapping[str, Any]) -> tuple[str, ConfigDict] | None:
    """Place and config of the `ReplacementBackbone` of a config that is not local, or none."""
    return _find(cfg, 'ReplacementBackbone')


def is_planned(cfg: Mapping[str, Any]) -> bool:
    """Whether the cuts of a config depend on what its units cost, and are still to be found."""
    found = find_backbone(cfg)
    partition = found[1].get('partition') if found else None
    return isinstance(partition, Mapping) and partition.get('type') in _PLANNED


def localize(cfg: Config) -> Config:
    """Return `cfg` with every part that local learning needs; one without a network of mmlocal's as it is.

    Added where the config is silent: the local head of every auxiliary, derived from the host's own;
    the block-wise optimizer wrapper in place of the stock one; the hooks that move the momentum copies
    and show the plan; what resuming to the bit needs, for a `ReplacementBackbone` too; checkpoints that
    cannot be lost. No network is built, `cfg` itself is not changed, and a second call changes nothing.

    Raises:
        ConfigError: if a head is missing and cannot be derived, or the optimizer wrapper has no
            block-wise form.
    """
    found = find_backbone(cfg)
    replaced = find_replaced(cfg)
    if found is None and replaced is None:
        return cfg
    cfg = copy.deepcopy(cfg)
    if replaced is not None and replaced[1].get('turns', 1) > 1:
        # Units that wait for their turn get no gradient.
        _find_unused(cfg)
    if found is None:
        return _prepared(cfg, _HOOKS_OF_REPLACED)
    place, backbone = found[0], find_backbone(cfg)[1]  # type: ignore[index]
    faults = Faults()
    with faults.under(place):
        _fill_heads(backbone, cfg)
    with faults.under('optim_wrapper'):
        _swap_wrapper(cfg)
    faults.report()
    _set_model_wrapper(cfg)
    return _prepared(cfg, _HOOKS)


def _prepared(cfg: Config, needed: Sequence[str]) -> Config:
    _make_resumable(cfg)
    save_safely(cfg)
    hooks = cfg.get('custom_hooks') or []
    if isinstance(hooks, (list, tuple)):  # what is none is for `validate` to refuse
        present = {hook.get('type') for hook in hooks if isinstance(hook, Mapping)}
        cfg.custom_hooks = list(hooks) + [ConfigDict(type=hook) for hook in needed if hook not in present]
    return cfg


def _fill_heads(backbone: ConfigDict, cfg: Config) -> None:
    auxiliary = backbone.get('auxiliary')
    if auxiliary is None:
        raise ConfigError("auxiliary is missing: what trains the blocks, as dict(type='mmlocal.Auxiliary')")
    faults = Faults()
    host = _with_stock_network(cfg)
    for one in auxiliaries_of(auxiliary):
        with faults.under('auxiliary'):
            _fill(one, host)
    faults.report()


def _with_stock_network(cfg: Config) -> dict[str, Any]:
    """The config as the host's own: classes, or a scale, may be the network's to say."""
    place, backbone = find_backbone(cfg)  # type: ignore[misc]
    if 'arch' not in backbone:  # which is told where the backbone is looked at
        return dict(cfg)
    return {**cfg, 'model': {**cfg.model, place.removeprefix('model.'): stock_network(backbone)}}


def auxiliaries_of(config: Any) -> Iterator[Any]:
    """Every auxiliary of a config: of a list, and the two of streams."""
    if isinstance(config, (list, tuple)):
        for one in config:
            yield from auxiliaries_of(one)
    elif isinstance(config, Mapping) and ('independent' in config or 'cascade' in config):
        yield from auxiliaries_of([config[name] for name in ('independent', 'cascade') if name in config])
    elif isinstance(config, Mapping):  # what is no dict is for `validate` to refuse
        yield config


def awaits_heads(config: Any) -> bool:
    """Whether an auxiliary's local head is still to be derived: the config was not completed by `localize`."""
    return any('head' in _arguments(one) and 'type' not in (one.get('head') or {}) for one in auxiliaries_of(config))


def _arguments(component: Mapping[str, Any]) -> Collection[str]:
    kind: Any = MODELS.get(component['type']) if isinstance(component.get('type'), str) else component.get('type')
    return inspect.signature(kind).parameters if callable(kind) else ()


def _fill(auxiliary: Any, cfg: Mapping[str, Any]) -> None:
    """Head, merge and terms, as far as they depend on the host."""
    faults = Faults()
    head = auxiliary.get('head') or {}
    if isinstance(head, Mapping):
        with faults.checking('head'):
            head = for_task(head, cfg)
            auxiliary['head'] = complete_head(head, cfg) if 'type' in head else merged(derive_head(cfg), head)
    merge = auxiliary.get('merge')
    if isinstance(merge, Mapping) and 'type' not in merge:
        with faults.checking('merge'):
            auxiliary['merge'] = merged(derive_merge(cfg), merge)
    terms = auxiliary.get('terms')
    for name, term in terms.items() if isinstance(terms, Mapping) else ():
        if isinstance(term, Mapping):
            with faults.under(f'terms.{name}'):
                terms[name] = complete_term(term, cfg)
    faults.report()


def _swap_wrapper(cfg: Config) -> None:
    wrapper = cfg.get('optim_wrapper')
    if wrapper is None:
        return
    several = [key for key, value in wrapper.items() if isinstance(value, Mapping) and 'optimizer' in value]
    if several:
        raise ConfigError(f'{several[0]} has an optimizer of its own: a model is trained block by block with one')
    stock = wrapper.get('constructor')
    if stock != _CONSTRUCTOR:
        wrapper['constructor'] = _CONSTRUCTOR
        if stock is not None:
            wrapper['base_constructor'] = stock
    name = wrapper.get('type', 'OptimWrapper')
    if str(name).startswith('mmlocal.'):
        return
    if name not in WRAPPERS:
        known = ', '.join(WRAPPERS)
        raise ConfigError(f'type = {name!r} has no block-wise form; {known} have one')
    wrapper['type'] = f'mmlocal.{WRAPPERS[name]}'


def _set_model_wrapper(cfg: Config) -> None:
    """What the model is wrapped in where several processes train."""
    holder, key = _holder_of_wrapper(cfg)
    wrapper = holder.get(key)
    if not wrapper:
        holder[key] = ConfigDict(type='mmlocal.LocalDataParallel')
    elif wrapper.get('type', _STOCK) == _STOCK:
        # Without it the gradients of all blocks but the last are silently not averaged.
        wrapper.setdefault('find_unused_parameters', True)


def _find_unused(cfg: Config) -> None:
    """Let stock DDP look for parameters without a gradient."""
    holder, key = _holder_of_wrapper(cfg)
    if holder is cfg:
        cfg.find_unused_parameters = True
        return
    if not holder.get(key):
        holder[key] = ConfigDict(type=_STOCK, broadcast_buffers=False)  # as the strategy takes
    holder[key]['find_unused_parameters'] = True


def _holder_of_wrapper(cfg: Config) -> tuple[Any, str]:
    """Who wraps the model, runner or strategy, and the key of it; a dict of nobody's where a strategy wraps nothing."""
    if cfg.get('runner_type') != 'FlexibleRunner':
        return cfg, 'model_wrapper_cfg'
    if cfg.get('launcher', 'none') != 'none' and not cfg.get('strategy'):
        cfg.strategy = ConfigDict(type=_DDP)  # as the runner takes
    strategy = cfg.get('strategy') or {}
    return (strategy if strategy.get('type') == _DDP else {}), 'model_wrapper'


def _make_resumable(cfg: Config) -> None:
    """A loop that goes on anywhere, and a sampler whose indices know their pass, also behind a skip."""
    loop, loader = cfg.get('train_cfg') or {}, cfg.get('train_dataloader') or {}
    by_default = ('EpochBasedTrainLoop' if loop['by_epoch'] else 'IterBasedTrainLoop') if 'by_epoch' in loop else None
    name = loop.get('type', by_default)
    if name in LOOPS:
        loop.pop('by_epoch', None)
        loop['type'] = LOOPS[name]
    sampler = loader.get('sampler')
    if isinstance(sampler, Mapping) and sampler.get('type') in _INFINITE:
        loader['sampler']['type'] = 'mmlocal.CountedSampler'


def save_safely(cfg: Config) -> None:
    """Let `SafeCheckpointHook` stand where the stock hook does, or would by default."""
    if cfg.get('default_hooks') is None:
        cfg.default_hooks = ConfigDict()
    hook: Any = cfg.default_hooks.setdefault('checkpoint', ConfigDict(type='CheckpointHook', interval=1))
    if isinstance(hook, Mapping) and hook.get('type') in ('CheckpointHook', 'mmengine.CheckpointHook'):
        cfg.default_hooks.checkpoint['type'] = 'mmlocal.SafeCheckpointHook'
