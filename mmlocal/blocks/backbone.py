"""Any network of the OpenMMLab family, cut into blocks that train apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.profiler import record_function

from mmlocal.blocks.boundary_context import Earlier, Later, Place
from mmlocal.blocks.compiled import compile_forward, compile_options, prepare_compiler
from mmlocal.blocks.partition import check_cuts, find_cuts, to_blocks
from mmlocal.blocks.probe import OUTPUTS, Probe, probe
from mmlocal.blocks.recompute import recompute_forward
from mmlocal.blocks.step import Span, Trainer, current_step
from mmlocal.blocks.units import Unit, find_units, separate
from mmlocal.errors import ConfigError, Faults
from mmlocal.registry import MODELS

__all__ = ['LocalBackbone']

_NETWORK, _AUXILIARIES = 'network.', 'auxiliaries.'
# What networks call the channels of their images.
_CHANNELS = ('in_channels', 'in_chans', 'input_channels')


@MODELS.register_module()
class LocalBackbone(BaseModule):
    """A stock network whose blocks each learn from an auxiliary network of their own.

    During a training step of an optimizer wrapper of mmlocal, every boundary trains the block before
    it and hands on a detached feature. Anywhere else (prediction, stock wrappers) it is the stock
    network. With one block it is the stock network in training too.

    The state dict has the stock network's own keys, and everything of the auxiliaries under
    `auxiliaries.`: stock weights load, and without that prefix a checkpoint loads into the stock model.

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
        units: module names of the units, for a network whose units mmlocal does not know.
        probe_size: side in pixels of the empty image that is sent through once to learn the shapes; the
            network's own `img_size` if not given, or 64.
        **network: the stock network's own arguments.

    Raises:
        ConfigError: if the network cannot be cut there, or an auxiliary does not fit; all faults at once.
    """

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
        super().__init__()
        network = {**network, **(arch if isinstance(arch, Mapping) else dict(type=arch))}
        self.network: nn.Module = MODELS.build(network)
        kind = type(self.network).__name__
        self.name = f'{kind}-{network["depth"]}' if 'depth' in network else kind
        self.reach = reach
        self.overlap = overlap
        self.reconcile = reconcile
        self.units = find_units(self.network, units)
        faults = Faults()
        cuts = self._find_cuts(partition, faults)
        self.blocks = to_blocks(self.units, cuts)
        self.untrained = reach - 1 if full_windows else 0
        self.segments = self._find_segments()
        # Where a cut is wrong, how many blocks there are is not known.
        if not faults.found:
            faults.found += self._flow_faults()
        self.probe_size = probe_size or _larger(network.get('img_size')) or 64
        self._channels = next((network[name] for name in _CHANNELS if name in network), 3)
        self.probe = probe(self.network, self.units, self.image(self.probe_size))
        self._refuse_crossings(faults)
        self.auxiliaries = self._build_auxiliaries(auxiliary, self.probe, faults)
        if reconcile and not all(getattr(auxiliary, 'whole', False) for auxiliary in self.auxiliaries):
            faults.found.append('reconcile needs an auxiliary with one loss: no patches, no streams')
        options: dict[str, Any] | None = None
        with faults.under('compile'):
            options = compile_options(compile)
        if options is not None and reconcile:
            faults.found.append('compile does not go with reconcile, which takes a second derivative of the blocks')
        faults.report()
        self.compiled = 0
        if options is not None:
            prepare_compiler(len(self.units), self.isolated)
            self.compiled = self._change_units(partial(compile_forward, options=options))
        if recompute:
            self._change_units(recompute_forward)
        self._hook_units()
        self.register_state_dict_post_hook(_strip_network)
        self.register_load_state_dict_pre_hook(_restore_network)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The stock network's outputs; those of finished blocks carry no gradient back to them."""
        outputs = self.network(*args, **kwargs)
        if isinstance(outputs, (tuple, list)):
            return type(outputs)(map(_without_link, outputs))
        return _without_link(outputs)

    @property
    def isolated(self) -> bool:
        """Whether each block learns from its own loss alone."""
        return self.reach == 1 and self.overlap == 0

    @property
    def trainers(self) -> list[Any]:
        """What trains each block but the last; none for those that later losses train alone."""
        return [*[None] * self.untrained, *self.auxiliaries]

    def _find_segments(self) -> list[list[Unit]]:
        """The blocks, each but the last divided where losses of the next blocks stop within it."""
        inside = [block[-1 - self.overlap].name for block in self.blocks[:-1] if 0 < self.overlap < len(block)]
        return to_blocks(self.units, [*inside, *(block[-1].name for block in self.blocks[:-1])])

    def _flow_faults(self) -> list[str]:
        """What is wrong with how losses are to flow."""
        count, faults = len(self.blocks), []
        if not 1 <= self.reach <= count:
            faults.append(f'reach = {self.reach} is not within 1 and the number of blocks, {count}')
        if self.overlap < 0:
            faults.append(f'overlap = {self.overlap} is below 0')
        if self.reconcile and not self.isolated:
            faults.append(f'reconcile = {self.reconcile} needs isolated blocks: reach = 1 and overlap = 0')
        return faults

    def _span(self, index: int) -> Span:
        """How far the losses at a block's end flow, in segments."""
        sizes = [sum(segment[0] in block for segment in self.segments) for block in self.blocks]

        def reached(i: int) -> int:
            first = max(0, i - self.reach + 1)
            return sum(sizes[first : i + 1]) + (self.overlap > 0 and first > 0)

        kept = reached(index + 1) - sizes[index + 1]
        return Span(sizes[index], reached(index), kept, self.reconcile)

    def _change_units(self, change: Callable[[nn.Module], None]) -> int:
        """Change how units run that train; a module without parts keeps no more than its input, and is one kernel."""
        changed = 0
        for unit in self.units[len(self.frozen_units) :]:
            for module in map(self.network.get_submodule, unit.modules):
                if next(module.children(), None) is not None:
                    change(module)
                    changed += 1
        return changed

    def _hook_units(self) -> None:
        """Boundaries at the cuts; leaves where a loss stops, and where something behind a block reads a unit inside."""
        ends = [segment[-1].name for segment in self.segments]
        boundaries = {
            block[-1].name: Boundary(name, trainer, self._span(i), ends.index(block[-1].name))
            for i, (name, block, trainer) in enumerate(zip(self.block_names, self.blocks, self.trainers, strict=False))
        }
        reads = {name for trainer in self.auxiliaries for name in trainer.reads}
        for i, segment in enumerate(self.segments[:-1]):
            for unit in segment:
                if unit.name in reads:
                    self._hook(unit, _Keep(unit.name))
                if unit.name in boundaries:
                    self._hook(unit, boundaries[unit.name])
                elif unit is segment[-1]:
                    self._hook(unit, _EndSegment(i))
                elif any(self._segment_of(reader) > i for reader in self.probe.readers(unit.name)):
                    self._hook(unit, _link)

    def _hook(self, unit: Unit, hook: Callable[..., Any]) -> None:
        self.network.get_submodule(unit.end).register_forward_hook(hook)

    def parameters_of(self, unit: Unit) -> list[nn.Parameter]:
        """The weights of a unit; what a network uses outside of its units belongs to none."""
        return [p for name in unit.modules for p in self.network.get_submodule(name).parameters()]

    def _segment_of(self, reader: str) -> int:
        """Index of the segment that a reader is in; the network's outputs are behind all of them."""
        if reader == OUTPUTS:
            return len(self.segments)
        return next(i for i, segment in enumerate(self.segments) if any(unit.name == reader for unit in segment))

    def _refuse_crossings(self, faults: Faults) -> None:
        """Cuts that the network's own connections do not allow."""
        ends = [block[-1].name for block in self.blocks]
        for segment, following in pairwise(self.segments):
            cut, behind = segment[-1].name, following[0].name
            if cut not in self.probe.reads[behind]:
                where = f'partition[{ends.index(cut)}]' if cut in ends else f'overlap = {self.overlap}'
                faults.found.append(f'{where}: {behind!r} does not read the output of {cut!r}: no cut there')
        for name, reader in sorted(self.probe.insides):
            if self._segment_of(name) != self._segment_of(reader):
                faults.found.append(
                    f'unit {name!r} is in another block than {reader!r}, which reads something inside of it, not '
                    'its output: its block would be finished by then. Cut elsewhere, or give the units: units=[...]'
                )
        faults.found += [
            f'unit {unit.name!r} is synthesised from {neighbour!r}, which is in another block: cut elsewhere, or leave '
            'that unit as it is'
            for unit in self.units
            for neighbour in getattr(self.network.get_submodule(unit.end), 'reads_weights_of', ())
            if self._segment_of(neighbour) != self._segment_of(unit.name)
        ]
        if self.reconcile:
            faults.found += self._skip_faults()

    def _skip_faults(self) -> list[str]:
        skips = [
            unit.name
            for i, segment in enumerate(self.segments[:-1])
            for unit in segment[:-1]
            if any(self._segment_of(reader) > i for reader in self.probe.readers(unit.name))
        ]
        return [f'reconcile: {name!r} is read behind its block, where its gradient is cut' for name in skips]

    def __getattr__(self, name: str) -> Any:
        """Whatever a host asks of its backbone (`feat_dim`, `layer4`) is the stock network's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == 'network':
                raise
            return getattr(self.network, name)

    @property
    def block_names(self) -> list[str]:
        """`block1` … `blockK`, as logs and plan call them."""
        return [f'block{i}' for i in range(1, len(self.blocks) + 1)]

    @property
    def frozen_units(self) -> list[Unit]:
        """The units before the first one that learns."""
        trains = [unit.trains(self.network) for unit in self.units]
        return self.units[: trains.index(True)] if any(trains) else list(self.units)

    def _find_cuts(self, partition: Mapping[str, Any] | Sequence[str], faults: Faults) -> list[str]:
        """The cuts that are right; what is wrong goes to `faults`, and checking goes on without it."""
        frozen = self.frozen_units
        free = self.units[len(frozen) :]
        if not free:
            raise ConfigError(f'partition cannot divide {self.name}: all of its {len(self.units)} units are frozen')
        cuts: list[str] = []
        with faults.under('partition'):
            cuts = find_cuts(partition, free)
        wrong = check_cuts(cuts, self.units, frozen, self.name)
        faults.add('partition', wrong)
        if not faults.found:
            return cuts
        right = [c for c in cuts if not check_cuts([c], self.units, frozen, self.name)]
        return sorted(set(right or [free[0].name]), key=[unit.name for unit in self.units].index)

    def image(self, size: int) -> Tensor:
        """An empty image (1, C, size, size) of the network's channels, dtype and device."""
        return torch.zeros(1, self._channels, size, size).to(next(self.network.parameters()))

    def _build_auxiliaries(
        self,
        configs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        probe: Probe,
        faults: Faults,
    ) -> ModuleList:
        trained = self.blocks[self.untrained : -1]
        several = not isinstance(configs, Mapping)
        listed = [configs] * len(trained) if isinstance(configs, Mapping) else list(configs)
        if len(listed) != len(trained) and not faults.found:
            faults.found.append(f'auxiliary has {len(listed)} entries, but {len(trained)} blocks are trained by one')
        built = ModuleList()
        for i, (config, block) in enumerate(zip(listed, trained, strict=False)):
            index = i + self.untrained
            later = [
                Later(unit.name, unit.module(self.network), probe.shapes[unit.name], unit.name in probe.alone, j)
                for j, units in enumerate(self.blocks[index + 1 :], index + 1)
                for unit in units
            ]
            earlier = [
                Earlier(unit.name, probe.shapes[unit.name], j)
                for j, units in enumerate(self.blocks[: index + 1])
                for unit in units
            ]
            place = Place(
                self.block_names[index],
                block[-1].name,
                probe.shapes[block[-1].name],
                tuple(later),
                tuple(earlier),
                index,
                len(self.blocks) - 1,
            )
            with faults.under(f'auxiliary[{i}]' if several else 'auxiliary'):
                built.append(MODELS.build(dict(config), default_args=dict(place=place)))
        return built


class Boundary:
    """Forward hook on the last module of a block: trains the block and replaces its output."""

    def __init__(self, block: str, trainer: Trainer | None, reach: Span, segment: int) -> None:
        self.block = block
        self.trainer = trainer
        self.reach = reach
        self.segment = segment

    def __call__(self, _module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        step = current_step()
        if step is None:
            return None
        feature, further = separate(output, args[1:])
        with record_function(f'{self.block}.boundary'):
            leaf = step.train_block(feature, self.trainer, self.reach, self.segment, further)
        return leaf if output is feature else (leaf, *further)


class _Keep:
    """Forward hook on a unit whose output a later auxiliary reads."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        step = current_step()
        if step is not None:
            step.keep(self.name, separate(output)[0])


class _EndSegment:
    """Forward hook on a unit inside a block from which on later losses flow back."""

    def __init__(self, segment: int) -> None:
        self.segment = segment

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        step, (feature, further) = current_step(), separate(output)
        if step is None or not feature.requires_grad:
            return None
        leaf = step.end_segment(feature, self.segment)
        return leaf if output is feature else (leaf, *further)


def _link(_module: nn.Module, _args: Any, output: Any) -> Any:
    """Forward hook on a unit inside a block that something behind the block reads."""
    step, (feature, further) = current_step(), separate(output)
    # What is frozen has no graph to enter.
    if step is None or not feature.requires_grad:
        return None
    leaf = step.link(feature)
    return leaf if output is feature else (leaf, *further)


def _without_link(output: Any) -> Any:
    """A link is for the blocks that follow, not for a neck to train."""
    is_link = isinstance(output, Tensor) and output.is_leaf and output.requires_grad
    return output.detach() if is_link else output


def _larger(size: Any) -> int | None:
    return max(size) if isinstance(size, (tuple, list)) else size


def _strip_network(_module: nn.Module, state_dict: dict[str, Any], prefix: str, _metadata: Any) -> None:
    for key in [key for key in state_dict if key.startswith(prefix + _NETWORK)]:
        state_dict[prefix + key[len(prefix + _NETWORK) :]] = state_dict.pop(key)


def _restore_network(_module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    for key in [key for key in state_dict if key.startswith(prefix)]:
        name = key[len(prefix) :]
        if not name.startswith((_AUXILIARIES, _NETWORK)):
            state_dict[prefix + _NETWORK + name] = state_dict.pop(key)
