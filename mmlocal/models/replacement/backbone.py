"""A stock network of which some units are replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from torch import nn

from mmlocal.blocks.finding import find_units
from mmlocal.blocks.recompute import recompute_forward
from mmlocal.errors import ConfigError, nearest
from mmlocal.models.replacement.selection import Replacement, periodic, select
from mmlocal.models.replacement.synthesis import FORMS, Scalars, Transformation
from mmlocal.models.replacement.unit import ReplacedUnit
from mmlocal.registry import MODELS

__all__ = ['replacement_backbone']

_ON_UNFIT = ('refuse', 'skip')


@MODELS.register_module(name='ReplacementBackbone')
def replacement_backbone(
    arch: str | Mapping[str, Any],
    every: int | None = None,
    replace: Sequence[str] | None = None,
    form: str = 'scalars',
    on_unfit: str = 'refuse',
    share_grad: bool = False,
    turns: int = 1,
    recompute: bool = False,
    rank: int = 8,
    units: Sequence[str] | None = None,
    **network: Any,
) -> nn.Module:
    """The stock network, some of whose interior units run with weights synthesised from their neighbours'.

    What is built is an object of the stock class: names of modules, units and outputs are the stock ones. A
    replaced unit is a `ReplacedUnit` in its place, whose stock parameters are gone.

    Source: Replacement Learning (arXiv 2410.01239 and 2605.19533). Neither has released code; see
    docs/methods/replacement.md for what is an interpretation.

    Args:
        arch: type of the stock network, or a dict with its type and those of its arguments that have a name of
            this function's, as for `LocalBackbone`.
        every: replace one unit of so many, in each stage; the one in the middle.
        replace: names of the units to replace; one of `every` and `replace` is given.
        form: `scalars`, two a unit (2024); `transformation`, two a tensor and fusion of shapes (2026).
        on_unfit: `refuse` a unit that cannot be replaced, or `skip` it, which is logged. Unknown names are refused.
        share_grad: let gradients reach the neighbours' weights through the synthesised ones (weight tying).
        turns: in a training step the scalars of one in so many replaced units learn, in turn; the weights of the others
            are constants of that step.
        recompute: keep the replaced units' inputs alone, and run them again in the backward.
        rank: of the learned mixing of channels, in the form `transformation`.
        units: module names of the units, for a network whose units mmlocal does not know.
        **network: the stock network's own arguments.

    Raises:
        ConfigError: if an argument is none of these, or a unit cannot be replaced; all faults at once.
    """
    _check(every, replace, form, on_unfit, share_grad, turns, rank)
    built: nn.Module = MODELS.build({**network, **(arch if isinstance(arch, Mapping) else dict(type=arch))})
    known, _ = find_units(built, units)
    # A period is a rule, not a list of names: a fault of it has the unit's name and no index.
    names, place = (periodic(known, every), 'every') if every else (list(replace or ()), 'replace')
    chosen, left = select(built, known, names, form, on_unfit == 'skip', place)
    if not chosen:
        raise ConfigError(f'{place}: no unit of {type(built).__name__} can be replaced', *left)
    for sentence in left:
        print_log(f'ReplacementBackbone: not replaced: {sentence}', 'current')
    for i, one in enumerate(chosen):
        _put(built, one, i, form, rank, share_grad, turns, recompute)
    print_log(f'ReplacementBackbone: replaced: {", ".join(one.unit.name for one in chosen)}', 'current')
    return built


def _check(
    every: int | None,
    replace: Sequence[str] | None,
    form: str,
    on_unfit: str,
    share_grad: bool,
    turns: int,
    rank: int,
) -> None:
    faults = []
    if (every is None) == (replace is None):
        faults.append('every or replace: one of the two says which units are replaced')
    if every is not None and every < 2:
        faults.append(f'every = {every} is below 2: a replaced unit needs neighbours that are not')
    for name, value, allowed in (('form', form, FORMS), ('on_unfit', on_unfit, _ON_UNFIT)):
        if value not in allowed:
            faults.append(f'{name} = {value!r} is not one of {", ".join(allowed)}.{nearest(str(value), allowed)}')
    faults += [f'{name} = {value} is below 1' for name, value in (('turns', turns), ('rank', rank)) if value < 1]
    if share_grad and turns > 1:
        faults.append(
            f'turns = {turns} goes with share_grad = False: else gradients of all weights are needed in each step'
        )
    if faults:
        raise ConfigError(*faults)


def _put(
    network: nn.Module, one: Replacement, index: int, form: str, rank: int, share_grad: bool, turns: int, again: bool
) -> None:
    """A replaced unit in the place of the stock one."""
    unit = network.get_submodule(one.unit.end)
    neighbours = {other.name: network.get_submodule(other.end) for other in (one.before, one.after)}
    own, before, after = (dict(module.named_parameters()) for module in (unit, *neighbours.values()))
    synthesis = Scalars() if form == 'scalars' else Transformation(own, before, after, rank)
    # The unit's own checkpointing would run it again without the synthesised weights.
    again = again or bool(getattr(unit, 'with_cp', False))
    vars(unit).update(with_cp=False)
    replaced = ReplacedUnit(one.unit.name, unit, neighbours, synthesis, share_grad, turns, index % turns)
    if again:
        recompute_forward(replaced)
    parent, _, last = one.unit.end.rpartition('.')
    setattr(network.get_submodule(parent), last, replaced)
