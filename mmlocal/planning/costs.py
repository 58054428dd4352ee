"""What each unit of a network, and an auxiliary behind each, costs in a training step."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmlocal.config import find_backbone
from mmlocal.engine.summary import find_division
from mmlocal.errors import ConfigError
from mmlocal.memory import Ledger
from mmlocal.planning.training_step import TrainingStep, estimate
from mmlocal.randomness import undisturbed
from mmlocal.registry import MODELS

__all__ = ['Costs', 'count_costs']

_CUT = re.compile(r'^(?:partition|auxiliary)\[(\d+)\]')
_PARTS = ('auxiliary', 'backward')


@dataclass(frozen=True)
class Costs:
    """Bytes of each unit that may end a block or stand in one, in the order they run; gradients of weights apart.

    Args:
        names: of the units.
        base: live when the unit begins: what was handed out to a neck before.
        kept: by the unit's forward, for its backward.
        forward: most within the unit's forward, above `base`.
        backward: most within the unit's backward, above what is live before the unit.
        auxiliary: most while the auxiliary behind the unit runs and propagates, above what is live at the unit's end.
        weights: of the unit: their gradients are as large.
        auxiliary_weights: of the auxiliary behind it; for the last one of neck and heads.
        auxiliary_static: weights, buffers and optimizer state of the auxiliary behind each.
        static: weights, buffers and optimizer state of all but the auxiliaries.
        tail: most from the last unit's beginning to the end of the step, above what is live there.
    """

    names: list[str] = field(default_factory=list)
    base: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    forward: list[int] = field(default_factory=list)
    backward: list[int] = field(default_factory=list)
    auxiliary: list[int] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    auxiliary_weights: list[int] = field(default_factory=list)
    auxiliary_static: list[int] = field(default_factory=list)
    static: int = 0
    tail: int = 0

    def of_block(self, first: int, last: int) -> int:
        """Peak bytes while the units `first` to `last` train as one block."""
        units = range(first, last + 1)
        kept = dict(zip(units, accumulate(self.kept[u] for u in units), strict=True))
        forward = max(kept[u] - self.kept[u] + self.forward[u] for u in units)
        gradients = self.auxiliary_weights[last]
        at_end = kept[last] + (self.tail if last == len(self.names) - 1 else self.auxiliary[last])
        most = max(forward, at_end + gradients)
        for u in reversed(units):
            gradients += self.weights[u]
            most = max(most, kept[u] - self.kept[u] + self.backward[u] + gradients)
        return self.base[first] + most

    def total(self, cuts: Sequence[str], peak: int) -> int:
        """`peak` with weights, buffers and optimizer state of the model and of the auxiliaries at the cuts."""
        chosen = (size for name, size in zip(self.names, self.auxiliary_static, strict=True) if name in cuts)
        return self.static + sum(chosen) + peak


@undisturbed()
def count_costs(cfg: Config, shape: tuple[int, int, int], batch: int) -> Costs:
    """Costs of every unit under the config's auxiliary, from one estimated step with a cut behind each.

    Units behind which the network cannot be cut, or the auxiliary does not fit, are counted with those that follow.

    Raises:
        ConfigError: if it cannot be cut at all, or takes no images of this shape.
    """
    apart = copy.deepcopy(cfg)
    _, settings = find_backbone(apart)  # type: ignore[misc]
    settings.update(reach=1, overlap=0, full_windows=False, reconcile=0.0)
    if isinstance(settings.auxiliary, (list, tuple)):
        raise ConfigError(' cannot be planned: auxiliary is a list, and which one would train which block is open')
    auxiliary, cuts = settings.auxiliary, _all_cuts(settings, cfg)
    while True:
        # An auxiliary each, so that a fault has the index of its cut.
        settings.update(partition=cuts, auxiliary=[copy.deepcopy(auxiliary) for _ in cuts])
        try:
            return _read(*estimate(apart, shape, batch, warm_up=False))
        except ConfigError as error:
            wrong = {int(i) for fault in error.faults for i in _CUT.findall(fault)}
            if not wrong or len(wrong) == len(cuts):
                raise
            cuts = [cut for i, cut in enumerate(cuts) if i not in wrong]


def _all_cuts(settings: Any, cfg: Config) -> list[str]:
    """The names of all units that may end a block."""
    whole = {**copy.deepcopy(settings), 'partition': [], 'auxiliary': []}
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        division = MODELS.build(whole).local_division
    return [unit.name for unit in division.units[len(division.frozen_units) : -1]]


def _read(step: TrainingStep, ledger: Ledger) -> Costs:
    division: Any = find_division(step.model)
    marks = {(name, begins): i for i, name, begins in ledger.marks}
    found: dict[str, list[int]] = {name: [] for name in ('base', 'kept', 'forward', 'backward', 'auxiliary')}
    start, live = 0, [0, *accumulate(_activations(ledger))]
    for name in division.block_names[:-1]:
        end = marks[f'{name}.boundary', True]
        auxiliary, backward = ([marks[f'{name}.{part}', begins] for begins in (True, False)] for part in _PARTS)
        made = _made_since(ledger, start)
        found['base'].append(live[start])
        found['kept'].append(made[end - start])
        found['forward'].append(max(made[: end - start + 1]))
        found['backward'].append(max(made[backward[0] - start : backward[1] - start + 1]))
        found['auxiliary'].append(max(_made_since(ledger, end)[auxiliary[0] - end : auxiliary[1] - end + 1]))
        start = marks[f'{name}.boundary', False]
    # The last unit's own part is in the tail.
    for name in found:
        found[name].append(live[start] if name == 'base' else 0)
    inside = {id(p) for p in division.network.parameters()}
    return Costs(
        names=[block[-1].name for block in division.blocks],
        **found,
        weights=[_bytes(p for unit in block for p in unit.parameters(division.network)) for block in division.blocks],
        auxiliary_weights=[
            *(_bytes(auxiliary.parameters()) for auxiliary in division.auxiliaries),
            _bytes(p for p in step.model.parameters() if id(p) not in inside),
        ],
        auxiliary_static=[*map(step.static_bytes, division.auxiliaries), 0],
        static=step.static_bytes() - step.static_bytes(division.auxiliaries),
        tail=max(_made_since(ledger, start)),
    )


def _activations(ledger: Ledger) -> Iterator[int]:
    """Changes of live bytes; gradients of weights and optimizer state are counted apart."""
    return (0 if entry.kind in ('gradient', 'optimizer') else change for change, entry in ledger.events)


def _made_since(ledger: Ledger, start: int) -> list[int]:
    """Live bytes of what was made after event `start`, at that event and after each that follows."""
    made: set[int] = set()
    changes = [0]
    for (_, entry), change in zip(ledger.events[start:], islice(_activations(ledger), start, None), strict=True):
        if change > 0:
            made.add(id(entry))
        changes.append(change if id(entry) in made else 0)
    return list(accumulate(changes))


def _bytes(parameters: Any) -> int:
    return sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)
