"""Any network of the OpenMMLab family, cut into blocks that train apart."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmlocal.blocks.boundary_context import place_at
from mmlocal.blocks.boundary_hooks import hook_units
from mmlocal.blocks.compiled import compile_forward, compile_options, prepare_compiler
from mmlocal.blocks.division import Division, choose_cuts
from mmlocal.blocks.finding import find_units
from mmlocal.blocks.probe import probe
from mmlocal.blocks.recompute import recompute_forward
from mmlocal.config import awaits_heads
from mmlocal.errors import ConfigError, Faults
from mmlocal.registry import MODELS

__all__ = ['AUXILIARIES', 'LocalBackbone']

# All that a local network has beside the stock one: a child and an attribute, named as no network names its own.
AUXILIARIES, _DIVISION = 'local_auxiliaries', 'local_division'
_NOT_COMPLETED = (
    'the local heads of this model were not derived, so it predicts and does not train: train it by tools/train.py, or '
    'complete its config first, cfg = mmlocal.config.localize(cfg)'
)
# What networks call the channels of their images.
_CHANNELS = ('in_channels', 'in_chans', 'input_channels')


@MODELS.register_module()
class LocalBackbone:
    """A stock network whose blocks each learn from an auxiliary network of their own.

    It *is* the stock network, of a class that derives from the stock one and from this: modules, parameters and the
    state dict have the stock network's own names, and everything of the auxiliaries is in one more child,
    `local_auxiliaries`. So stock weights load, and without that child's keys a checkpoint loads into the stock model.

    During a training step of an optimizer wrapper of mmlocal, every boundary trains the block before it and hands on
    a detached feature. Anywhere else (prediction, stock wrappers) it is the stock network. With one block it is the
    stock network in training too.

    Built from a config whose local heads were not derived yet, it is the stock network without auxiliaries: it
    predicts, and loads any checkpoint of a run; it does not train.

    Args:
        arch: type of the stock network, as its own config would have it (`ResNet`); a dict with this type and
            the arguments of the network that have a name of this class's (`dict(type='VisionTransformer',
            arch='small')`; over a config that has the latter, with `_delete_=True` in it). The type may be
            `mmlocal.ReplacementBackbone`: a replaced unit and its neighbours have to be in one block.
        partition: where to cut: unit names that end a block, or a dict such as `dict(type='Stage')`
            and `dict(type='Even', num_blocks=4)`. Frozen units at the beginning belong to the first block.
        auxiliary: config of what trains a block, for every block but the last; or a list, one each.
        reach: how many blocks a loss flows back through. 1 isolates the blocks (DGL, InfoPro, MAN), larger
            values give overlapping windows (HPFF 2, MLAAN 3).
        overlap: how many of the last units before these blocks a loss flows into, too (BackLink).
        full_windows: only boundaries that have `reach` blocks before them get an auxiliary; the first blocks
            learn from later losses alone (HPFF, MLAAN).
        reconcile: weight of a penalty on a block whose gradient at its input differs from the one that the
            block before got there (SGR).
        recompute: keep the units' inputs alone, and run each unit again in its backward: the same gradients, less
            memory, one more forward. Batch norm counts once (`with_cp` of the hosts' networks counts twice).
        compile: run the units that train compiled, in training: True, or the arguments of `torch.compile`. What
            is around them, the boundaries first of all, is not compiled.
        units: module names of the units, where others are wanted than those that are found.
        probe_size: side in pixels of the empty image that is sent through to find the units and to learn the shapes;
            the network's own `img_size` if not given, or the first of 64, 224, 256 and 384 that it takes.
        **network: the stock network's own arguments.

    Attributes:
        local_division: units, blocks and auxiliaries (`Division`).

    Raises:
        ConfigError: if the network cannot be cut there, or an auxiliary does not fit; all faults at once. In a
            training forward, if there are no local heads.
    """

    local_division: Division

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Build the stock network and give it its class; a copy that is being made is still empty."""
        if cls is not LocalBackbone:
            return object.__new__(cls)
        network: Any = MODELS.build(_network_config(*args, **kwargs))
        taken = [name for name in (AUXILIARIES, _DIVISION) if hasattr(network, name)]
        if taken:
            raise ConfigError(f'arch: {type(network).__name__} has {" and ".join(taken)} of its own')
        network.__class__ = _local_class(type(network))  # type: ignore[arg-type]
        return network

    def __init__(
        self,
        arch: str | Mapping[str, Any],
        partition: Mapping[str, Any] | Sequence[str],
        auxiliary: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        reach: int = 1,
        overlap: int = 0,
        full_windows: bool = False,
        reconcile: float = 0.0,
        recompute: bool = False,
        compile: bool | Mapping[str, Any] = False,
        units: Sequence[str] | None = None,
        probe_size: int | None = None,
        **network: Any,
    ) -> None:
        given = {**network, **(arch if isinstance(arch, Mapping) else {})}
        this: Any = self
        if awaits_heads(auxiliary):
            this.register_load_state_dict_pre_hook(_leave_out_auxiliaries)
            return
        # Some networks freeze their stages here alone, and what is frozen decides on the cuts.
        this.train(this.training)
        side, channels = probe_size or _larger(given.get('img_size')), _first(given, _CHANNELS)
        found, image = find_units(this, units, side, channels)
        faults = Faults()
        name = stock_class(self).__name__ + (f'-{given["depth"]}' if 'depth' in given else '')
        cuts = choose_cuts(this, found, name, partition, faults)
        division = Division(this, found, cuts, reach, overlap, full_windows, reconcile)
        division.name = name
        # Where a cut is wrong, how many blocks there are is not known.
        if not faults.found:
            faults.found += division.flow_faults()
        division.channels, division.probe_size = image.shape[1], image.shape[-1]
        division.probe = probe(this, division.units, image)
        faults.found += division.crossing_faults()
        division.auxiliaries = _build_auxiliaries(auxiliary, division, faults)
        if reconcile and not all(getattr(one, 'whole', False) for one in division.auxiliaries):
            faults.found.append('reconcile needs an auxiliary with one loss: no patches, no streams')
        options: dict[str, Any] | None = None
        with faults.under('compile'):
            options = compile_options(compile)
        if options is not None and reconcile:
            faults.found.append('compile does not go with reconcile, which takes a second derivative of the blocks')
        faults.report()
        if options is not None:
            prepare_compiler(len(division.units), division.isolated)
            division.compiled = _change_units(division, partial(compile_forward, options=options))
        if recompute:
            _change_units(division, recompute_forward)
        hook_units(division)
        self.local_division = division
        setattr(self, AUXILIARIES, division.auxiliaries)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The stock network's outputs; those of finished blocks carry no gradient back to them."""
        if not hasattr(self, _DIVISION) and self.training and torch.is_grad_enabled():  # type: ignore[attr-defined]
            raise ConfigError(_NOT_COMPLETED)
        # Nothing is hidden here: blocks are stepped within, by what walks over the whole model.
        outputs = super().forward(*args, **kwargs)  # type: ignore[misc]
        if isinstance(outputs, (tuple, list)):
            return type(outputs)(map(_without_link, outputs))
        return _without_link(outputs)

    def train(self, mode: bool = True) -> LocalBackbone:
        """The stock network's own modes (frozen stages, batch norm that stays in evaluation), then the auxiliaries'."""
        with _stock_alone(self):
            super().train(mode)  # type: ignore[misc]
        # Sources have their modes now, which their copies take over.
        if hasattr(self, AUXILIARIES):
            self.local_division.auxiliaries.train(mode)
        return self

    def init_weights(self) -> None:
        """The stock network's own start, which depends on nothing of the auxiliaries; then theirs."""
        with _stock_alone(self):
            stock = getattr(super(), 'init_weights', None)
            if stock is not None:
                stock()
        if hasattr(self, AUXILIARIES):
            self.local_division.auxiliaries.init_weights()

    def __reduce_ex__(self, _protocol: Any) -> Any:
        """Pickled by the stock class, as that of the local network has no name of its own."""
        return _bare, (stock_class(self),), self.__dict__


class _Auxiliaries(ModuleList):
    """What trains the blocks, in order."""

    def forward(self, feature: Any) -> Any:
        """Return `feature`: a network that is a sequence of its children comes by here at its end."""
        return feature


def _leave_out_auxiliaries(_network: Any, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Of a checkpoint of a run, what a network without auxiliaries has no place for."""
    for key in [key for key in state_dict if key.startswith(f'{prefix}{AUXILIARIES}.')]:
        del state_dict[key]


def _bare(kind: type) -> Any:
    return object.__new__(_local_class(kind))


@functools.cache
def _local_class(kind: type) -> type:
    # Of the stock name: hosts' constructors and hooks ask for it.
    return type(kind)(kind.__name__, (LocalBackbone, kind), {'__doc__': LocalBackbone.__doc__})


def stock_class(network: Any) -> type:
    """The class that a local network has without being local."""
    mro = type(network).__mro__
    return mro[mro.index(LocalBackbone) + 1]


@contextmanager
def _stock_alone(network: Any) -> Iterator[None]:
    """Hide the auxiliaries from stock code that walks over the network's children."""
    auxiliaries = network._modules.pop(AUXILIARIES, None)
    try:
        yield
    finally:
        if auxiliaries is not None:
            network._modules[AUXILIARIES] = auxiliaries


def _network_config(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """What is for the stock network."""
    given = inspect.signature(LocalBackbone.__init__).bind(None, *args, **kwargs).arguments
    arch = given['arch']
    return {**given.get('network', {}), **(arch if isinstance(arch, Mapping) else {'type': arch})}


def _change_units(division: Division, change: Callable[[nn.Module], None]) -> int:
    """Change how units run that train; a module without parts keeps no more than its input, and is one kernel."""
    changed = 0
    for unit in division.units[len(division.frozen_units) :]:
        for module in map(division.network.get_submodule, unit.modules):
            if next(module.children(), None) is not None:
                change(module)
                changed += 1
    return changed


def _build_auxiliaries(
    configs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    division: Division,
    faults: Faults,
) -> ModuleList:
    trained = division.blocks[division.untrained : -1]
    several = not isinstance(configs, Mapping)
    listed = [configs] * len(trained) if isinstance(configs, Mapping) else list(configs)
    if len(listed) != len(trained) and not faults.found:
        faults.found.append(f'auxiliary has {len(listed)} entries, but {len(trained)} blocks are trained by one')
    built = _Auxiliaries()
    for i, config in enumerate(listed[: len(trained)]):
        with faults.under(f'auxiliary[{i}]' if several else 'auxiliary'):
            place = place_at(division, i + division.untrained)
            built.append(MODELS.build(dict(config), default_args=dict(place=place)))
    return built


def _without_link(output: Any) -> Any:
    """A link is for the blocks that follow, not for a neck to train."""
    is_link = isinstance(output, Tensor) and output.is_leaf and output.requires_grad
    return output.detach() if is_link else output


def _first(given: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((given[name] for name in names if name in given), None)


def _larger(size: Any) -> int | None:
    return max(size) if isinstance(size, (tuple, list)) else size
