"""Copies of later units as a bridge: what is to come, small, in front of the local head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmlocal.auxiliaries.bridges.bridge import Bridge, Outputs
from mmlocal.auxiliaries.bridges.choices import choose
from mmlocal.auxiliaries.bridges.reached import leave_out_unreached
from mmlocal.blocks import Chain, Later, Place, Shape, separate, stage_of
from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS

__all__ = ['CopyBridge']


@MODELS.register_module()
class CopyBridge(Bridge):
    """Trainable copies of units behind the block, one after the other.

    AugLocal's sampled units (arXiv 2402.17318), FBA's simple local module (arXiv 2406.00446), by `units`.
    A unit that does not take what comes before it is replaced by the first one of its stage that does; if there
    is none, a 1x1 convolution with batch norm and ReLU, of stride 2 at most, leads to it (an interpretation:
    AugLocal draws new units of the right shape). Copies start equal to their units, before training (an
    interpretation; the released code draws new weights). Weights that a unit never uses do not train in its copy.

    Args:
        place: the boundary; given by `LocalBackbone`.
        units: names of units behind the block, or a choice: `Next`, `PerStage`, `Sampled`, `Leap`.

    Raises:
        ConfigError: if a unit is unknown, lies before the boundary, or does not run by itself.
    """

    started: Tensor

    def __init__(self, place: Place, units: Mapping[str, Any] | Sequence[str] = {'type': 'Next'}) -> None:
        super().__init__()
        chosen, self._shapes, adapters = _fit(choose(units, place), place)
        self.shape = self._shapes[-1]
        self.adapters = ModuleList(adapters)
        # In a tuple, so that sources are not registered as parts of their copies.
        self._sources = tuple(self._grouped([unit.module for unit in chosen]))
        self.copies = ModuleList(deepcopy(source) for source in self._sources)
        if place.output is not None:
            steps = [step for pair in zip(self.adapters, self.copies, strict=False) for step in pair]
            leave_out_unreached(steps, place.output)
        self.register_buffer('started', torch.tensor(False))
        self.names = [unit.name for unit in chosen]
        self.description = f'copy of {", ".join(self.names)}'

    @property
    def shapes(self) -> list[Shape]:
        """The block's own shape, and that of each copy's output."""
        return self._shapes

    def _grouped(self, modules: list[nn.Module]) -> list[nn.Module]:
        """The modules that are copied each as one."""
        return modules

    def outputs(self, feature: Tensor, *further: Any) -> Outputs:
        """The block's output and what each copy makes of the one before, each with what goes along."""
        found: Outputs = [(feature, further)]
        for i, adapter in enumerate(self.adapters):
            feature, further = found[-1]
            found.append(self._step(i, adapter(feature), further))
        return found

    def _step(self, i: int, feature: Tensor, further: tuple[Any, ...]) -> tuple[Tensor, tuple[Any, ...]]:
        return separate(self.copies[i](feature, *further), further)

    def forward(self, feature: Tensor, *further: Any) -> Any:
        """From the block's output to the last copy's, with `further` as a tuple, if there is any."""
        last, behind = self.outputs(feature, *further)[-1]
        return (last, *behind) if behind else last

    def pairs(self) -> Iterator[tuple[nn.Parameter, nn.Parameter]]:
        """Each trainable parameter of a copy, and the one that it is a copy of."""
        for copy, source in zip(self.copies, self._sources, strict=True):
            for mine, other in zip(copy.parameters(), source.parameters(), strict=True):
                if mine.requires_grad:
                    yield mine, other

    def start(self) -> None:
        """Make the copies equal to their sources, unless a loaded state has started them already."""
        if not self.started:
            for copy, source in zip(self.copies, self._sources, strict=True):
                copy.load_state_dict(source.state_dict())
            self.started.fill_(True)

    def train(self, mode: bool = True) -> CopyBridge:
        """Copies normalise as their sources do, whose host may keep its batch norm in evaluation."""
        super().train(mode)
        for copy, source in zip(self.copies, self._sources, strict=True):
            follow_mode(copy, source)
        return self


def follow_mode(copy: nn.Module, source: nn.Module) -> None:
    """Give each module of a copy the mode of its source."""
    for mine, other in zip(copy.modules(), source.modules(), strict=True):
        mine.training = other.training


def _fit(chosen: Sequence[Later], place: Place) -> tuple[list[Later], list[Shape], list[nn.Module]]:
    """Units that run one after the other, the shapes from the block's output on, and what leads to each unit."""
    before = [place.shape, *(unit.shape for unit in place.later)]
    inputs = {unit.name: shape for unit, shape in zip(place.later, before, strict=False)}
    fitting, shapes, adapters = [], [place.shape], []
    for wanted in chosen:
        here = shapes[-1]
        stage = [unit for unit in place.later if stage_of(unit.name) == stage_of(wanted.name)]
        fits = next((unit for unit in [wanted, *stage] if _takes(inputs[unit.name], here)), None)
        unit = fits or wanted
        given = inputs[unit.name]
        adapters.append(nn.Identity() if fits else _adapter(here, given, unit, place))
        coarser = 1 if fits else _adapter_stride(here, given)
        stride = here.stride * coarser * unit.shape.stride / given.stride
        shapes.append(Shape(unit.shape.channels, stride, unit.shape.layout))
        fitting.append(unit)
    faults = [
        f'{unit.name!r} cannot be copied behind {place.cut!r}: by itself, on the output of the unit before it, it '
        'does not do what it does in the network. Cut elsewhere'
        for unit in fitting
        if not unit.alone
    ]
    if faults:
        raise ConfigError(*faults)
    return fitting, shapes, adapters


def _takes(given: Shape, here: Shape) -> bool:
    return (given.channels, given.layout) == (here.channels, here.layout)


def _adapter_stride(here: Shape, given: Shape) -> int:
    return 2 if given.stride > here.stride else 1


def _adapter(given: Shape, wanted: Shape, unit: Later, place: Place) -> nn.Module:
    if given.layout != 'map' or wanted.layout != 'map':
        raise ConfigError(
            f'units: {unit.name!r} does not take what comes before it behind {place.cut!r}, and only maps can be led '
            'to it by a convolution. Name other units'
        )
    stride = _adapter_stride(given, wanted)
    norm = dict(type='BN')
    adapter: nn.Module = ConvModule(given.channels, wanted.channels, 1, stride=stride, norm_cfg=norm, bias=False)
    return adapter


def chained(modules: Sequence[nn.Module]) -> nn.Module:
    """Several modules as one."""
    return modules[0] if len(modules) == 1 else Chain(modules)
